// The table of numbers, and the sentence that says what is shown.
const SHOWN_AS = { precision: digits, recall: digits, flagged_share: (v) => (v === null ? "–" : `${digits(100 * v, 2)} %`) };

// The same as `numbers_at` in explore/numbers.py.
function numbersAt(sweep, threshold, probability) {
  const share = (part, all) => (all ? part / all : null);
  const { tp, fp } = sweep.pixels[threshold];
  const entries = sweep.segments[threshold];
  const counts = entries[Math.min(probability, entries.length - 1)];
  return { precision: share(tp, tp + fp), recall: share(tp, sweep.num_ood),
    flagged_share: share(tp + fp, sweep.num_ood + sweep.num_in), tp, fp, ...counts,
    errors: counts.false_positives + counts.false_negatives };
}
function sweepOf(dataset, model) {
  return record.sweeps.find((sweep) => sweep.dataset === dataset && sweep.model === model);
}
function showNumbers() {
  document.querySelectorAll("[data-number]").forEach((cell) => {
    const { number, dataset, model } = cell.dataset;
    const value = numbersAt(sweepOf(dataset, model), state.threshold, state.probability)[number];
    cell.dataset.value = value === null ? "" : value;
    cell.textContent = (SHOWN_AS[number] || whole)(value);
  });
  document.querySelectorAll("[data-undefined]").forEach((row) => {
    const reason = sweepOf(row.dataset.dataset, row.dataset.model).undefined[state.threshold];
    row.hidden = !reason || keepsAll(state.probability);
    row.cells[0].textContent = `Nothing is removed: ${reason || ""}`;
  });
}
function isOwn() {
  return state.threshold === context.threshold && state.probability === context.probability;
}
function describe() {
  const removal = keepsAll(state.probability) ? "no segment removed" : `segments removed from probability ${short(record.probabilities[state.probability])}`;
  return `t = ${short(record.thresholds[state.threshold])}, ${removal}${isOwn() ? ", the run's own values" : ""}`;
}
function errorsInWords() {
  return record.sweeps
    .filter((sweep) => sweep.model === state.model && (!state.dataset || sweep.dataset === state.dataset))
    .map((sweep) => `${plural(numbersAt(sweep, state.threshold, state.probability).errors, "error")} on ${context.datasets[sweep.dataset]}`)
    .join(", ");
}
let telling = 0;
function showState() {
  const threshold = document.getElementById("threshold"), probability = document.getElementById("probability");
  const chance = keepsAll(state.probability) ? "keep all" : short(record.probabilities[state.probability]);
  threshold.value = state.threshold;
  probability.value = state.probability;
  threshold.setAttribute("aria-valuetext", short(record.thresholds[state.threshold]));
  probability.setAttribute("aria-valuetext", chance);
  document.getElementById("threshold-value").textContent = short(record.thresholds[state.threshold]);
  document.getElementById("probability-value").textContent = chance;
  document.querySelectorAll("b[data-state-text]").forEach((place) => { place.textContent = describe(); });
  clearTimeout(telling); // a screen reader is told where the slider came to rest
  const words = errorsInWords();
  telling = setTimeout(() => { // on a phone, the labels of the sliders say the first half
    const half = words ? element("span", { class: "long" }, `${describe()}: `) : describe();
    document.getElementById("state").replaceChildren(half, words ? `${words} (${context.models[state.model]})` : "");
  }, 250);
}
