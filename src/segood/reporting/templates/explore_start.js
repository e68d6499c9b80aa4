// Start: read the records, connect the controls, show the run's own values.
function show(sameSegments = false) {
  if (record) {
    showState();
    showNumbers();
    moveCharts();
  }
  showGallery();
  if (record) refreshDetails(sameSegments);
}
function onInput(id, act, sameSegments = false) {
  document.getElementById(id)?.addEventListener("input", (event) => { act(event.target.value); show(sameSegments); });
}
function showDataset() {
  document.querySelectorAll("[data-of-dataset]").forEach((part) => { part.hidden = Boolean(state.dataset) && part.dataset.ofDataset !== state.dataset; });
}
function connectSliders() {
  onInput("threshold", (value) => { state.threshold = Number(value); });
  onInput("probability", (value) => { state.probability = Number(value); }, true);
  onInput("model", (value) => { state.model = value; });
  onInput("dataset", (value) => { Object.assign(state, { dataset: value, page: 0 }); showDataset(); });
  document.getElementById("reset").addEventListener("click", () => { ownValues(); showChoices(); showDataset(); show(); });
}
function showChoices() {
  for (const id of ["model", "dataset"]) {
    const choice = document.getElementById(id);
    if (choice) choice.value = state[id];
  }
}
function connectGallery() {
  for (const id of ["sort", "filter"]) onInput(id, (value) => Object.assign(state, { [id]: value, page: 0 }), true);
  const turn = (step) => { state.page += step; show(); document.getElementById("gallery").scrollIntoView(); };
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  document.getElementById("gallery-tools").hidden = false;
  document.getElementById("gallery-pages").hidden = false;
  document.querySelectorAll(".zoom.text").forEach((button) => { button.hidden = false; });
}
function connectDetails() {
  const frames = document.getElementById("frames");
  const open = (event) => {
    const segment = event.target.closest?.(".segment");
    const card = segment && cards.find((one) => one.article.contains(segment));
    if (card?.frame) { event.preventDefault(); openDetails(card, Number(segment.dataset.segment)); }
  };
  frames?.addEventListener("click", open);
  frames?.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") open(event); else walkSegments(event); });
  document.getElementById("details-close").addEventListener("click", closeDetails);
  document.getElementById("details").addEventListener("close", detailsClosed);
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !document.getElementById("viewer").open) closeDetails(); });
}
async function start() {
  try {
    [record, context] = await Promise.all([readEmbedded("exploration"), readEmbedded("exploration-context")]);
  } catch {
    document.getElementById("state").textContent = "This browser cannot unpack the records of the sliders.";
    record = null;
  }
  document.querySelectorAll("[name=view]").forEach((choice) => choice.addEventListener("change", () => switchView(choice.value)));
  collectCards();
  if (record) {
    ownValues();
    showChoices();
    addPlainFrames();
    connectSliders();
    connectDetails();
    document.getElementById("controls").hidden = false;
  }
  if (cards.length) connectGallery();
  show();
  document.documentElement.dataset.ready = "yes";
}
start().finally(() => document.dispatchEvent(new Event("segood:ready"))); // charts come last
