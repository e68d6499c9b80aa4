// The bar: which methods and which test set the whole page shows. Wires the parts together.
const ticks = [...document.querySelectorAll("input.tick")];

function isTicked(method) {
  return ticks.find((box) => box.value === method)?.checked ?? true;
}

function hideOtherDatasets() {
  const chosen = document.getElementById("dataset")?.value;
  document.querySelectorAll("#main [data-dataset]").forEach((element) => {
    const other = Boolean(chosen) && element.dataset.dataset !== chosen;
    element.hidden = other || (element.matches("figure[data-method]") && !isTicked(element.dataset.method));
  });
}

function hideOtherMethods() {
  const shown = new Set(ticks.filter((box) => box.checked).map((box) => box.value));
  document.querySelectorAll("#main [data-method]").forEach((element) => {
    if (!element.matches("figure")) element.hidden = !shown.has(element.dataset.method);
  });
  document.getElementById("method-count").textContent = `${shown.size} of ${ticks.length}`;
  document.querySelectorAll("fieldset input[data-network]:not(.tick)").forEach((box) => {
    const own = ticks.filter((tick) => tick.dataset.network === box.dataset.network);
    const on = own.filter((tick) => tick.checked).length;
    box.checked = on === own.length;
    box.indeterminate = on > 0 && on < own.length;
  });
}

function refresh() {
  hideOtherMethods();
  hideOtherDatasets();
  tables.forEach(markBest);
  if (window.Plotly) redraw();
}

function tick(wanted) {
  ticks.forEach((box) => { box.checked = wanted(box); });
  refresh();
}

function startPicker() {
  const picker = document.getElementById("method-picker");
  if (!picker) return;
  ticks.forEach((box) => box.addEventListener("change", refresh));
  document.querySelectorAll("fieldset input[data-network]:not(.tick)").forEach((box) => box.addEventListener("change", () => {
    tick((one) => (one.dataset.network === box.dataset.network ? box.checked : one.checked));
  }));
  document.getElementById("methods-all").addEventListener("click", () => tick(() => true));
  document.getElementById("methods-none").addEventListener("click", () => tick(() => false));
  document.getElementById("methods-main").addEventListener("click", () => tick((box) => box.dataset.main === "yes"));
  document.getElementById("dataset").addEventListener("change", hideOtherDatasets);
  picker.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { picker.open = false; picker.querySelector("summary").focus(); }
  });
  addEventListener("pointerdown", (event) => { if (!picker.contains(event.target)) picker.open = false; });
}

function startToggles() {
  document.querySelectorAll("[data-toggle]").forEach((box) => {
    const apply = () => root.classList.toggle(box.dataset.toggle, !box.checked);
    box.addEventListener("change", apply);
    apply(); // a browser may restore boxes when it goes back to the page
  });
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try { await navigator.clipboard.writeText(source.textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(source); button.textContent = "Selected"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

startPicker();
startToggles();
startTables();
startPairs();
startGallery();
startCharts();
document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
if (ticks.length) refresh();
