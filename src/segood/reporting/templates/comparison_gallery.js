// Gallery: two networks on the same frame, split by a divider or blinking.
const BLINK = 500; // milliseconds per picture: a period of 1 s
const still = matchMedia("(prefers-reduced-motion: reduce)");
const stages = [...document.querySelectorAll(".stage")];
const timers = new Map();

function chosenNetwork(stage, side) {
  const select = document.getElementById(`gallery-${side}`);
  const here = [...stage.querySelectorAll("img")].map((image) => image.dataset.network);
  return select && here.includes(select.value) ? select.value : here[side === "left" ? 0 : here.length - 1];
}

function titleOf(stage, side) {
  return stage.querySelector(`img.${side}`)?.dataset.title ?? "";
}

function choosePictures(stage) {
  const layer = document.getElementById("gallery-layer").value;
  const [left, right] = ["left", "right"].map((side) => chosenNetwork(stage, side));
  stage.querySelectorAll("img").forEach((image) => {
    const fits = image.dataset.layer === layer;
    image.classList.toggle("left", fits && image.dataset.network === left);
    image.classList.toggle("right", fits && image.dataset.network === right);
    image.ariaHidden = image.matches(".left, .right") ? null : "true";
  });
  for (const side of ["left", "right"]) {
    const tag = stage.querySelector(`.${side}-tag`);
    if (tag) tag.textContent = titleOf(stage, side);
  }
  stage.closest("figure").querySelectorAll(".said").forEach((line) => {
    line.classList.toggle("paired", [left, right].includes(line.dataset.network));
  });
  const divider = stage.querySelector(".divider");
  if (divider) split(stage, Number(divider.ariaValueNow));
}

function split(stage, percentage) {
  const value = Math.round(Math.min(100, Math.max(0, percentage)));
  const divider = stage.querySelector(".divider");
  stage.style.setProperty("--split", `${value}%`);
  divider.ariaValueNow = String(value);
  divider.ariaValueText = `${value} % ${titleOf(stage, "left")}, ${100 - value} % ${titleOf(stage, "right")}`;
}

function moveByKey(stage, event) {
  const now = Number(event.currentTarget.ariaValueNow);
  const steps = { ArrowLeft: now - 2, ArrowDown: now - 2, ArrowRight: now + 2, ArrowUp: now + 2, PageDown: now - 10, PageUp: now + 10, Home: 0, End: 100 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  split(stage, steps[event.key]);
}

function moveByPointer(stage, event) {
  const box = stage.getBoundingClientRect();
  split(stage, (100 * (event.clientX - box.left)) / box.width);
}

function startDivider(stage, divider) {
  divider.addEventListener("keydown", (event) => moveByKey(stage, event));
  divider.addEventListener("pointerdown", (event) => { divider.setPointerCapture(event.pointerId); event.preventDefault(); divider.focus(); });
  divider.addEventListener("pointermove", (event) => { if (divider.hasPointerCapture(event.pointerId)) moveByPointer(stage, event); });
  stage.addEventListener("pointerdown", (event) => { if (!divider.contains(event.target) && event.pointerType === "mouse") moveByPointer(stage, event); });
}

function swap(stage) {
  stage.dataset.shown = stage.dataset.shown === "left" ? "right" : "left";
}

function stopBlinking(stage, button) {
  clearInterval(timers.get(stage));
  timers.delete(stage);
  button.ariaPressed = "false";
  button.textContent = "Blink";
  delete stage.dataset.blinking;
  delete stage.dataset.shown;
}

function startBlinking(stage, button) {
  stage.dataset.blinking = "yes";
  button.ariaPressed = "true";
  button.textContent = "Stop";
  swap(stage);
  timers.set(stage, setInterval(() => swap(stage), BLINK));
}

// Who asked for less motion swaps by hand: left, right, and back to the divider.
function swapByHand(stage, button) {
  if (stage.dataset.shown === "right") { stopBlinking(stage, button); button.textContent = "Swap"; return; }
  stage.dataset.blinking = "yes";
  swap(stage);
  button.ariaPressed = "true";
}

function pressBlink(stage, button) {
  if (still.matches) swapByHand(stage, button);
  else if (timers.has(stage)) stopBlinking(stage, button);
  else startBlinking(stage, button);
}

function followMotionPreference() {
  stages.forEach((stage) => {
    const button = document.getElementById(stage.id.replace("stage", "blink"));
    if (!button) return;
    stopBlinking(stage, button);
    if (still.matches) button.textContent = "Swap";
  });
}

function startGallery() {
  if (!stages.length) return;
  for (const id of ["gallery-layer", "gallery-left", "gallery-right"]) {
    document.getElementById(id)?.addEventListener("change", () => stages.forEach(choosePictures));
  }
  document.getElementById("gallery-outlines").addEventListener("change", showOutlines);
  stages.forEach((stage) => {
    const divider = stage.querySelector(".divider");
    const button = document.getElementById(stage.id.replace("stage", "blink"));
    if (divider) startDivider(stage, divider);
    button?.addEventListener("click", () => pressBlink(stage, button));
    choosePictures(stage);
  });
  still.addEventListener("change", followMotionPreference);
  followMotionPreference();
  showOutlines();
}

function showOutlines() {
  const box = document.getElementById("gallery-outlines");
  document.getElementById("gallery").classList.toggle("without-outlines", !box.checked);
}
