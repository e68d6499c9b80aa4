// Why one segment was kept or removed: its probability, what each feature added, and the sum.
let opened = null; // { card, id }: survives a redrawing of the shapes

const VERDICTS = { hit: "Kept, rightly: it touches an unknown object.", false_alarm: "Kept, but it is a false alarm: it touches no unknown object.",
  removed_rightly: "Removed, rightly: it touches no unknown object.", removed_wrongly: "Removed, wrongly: it touches an unknown object.",
  kept: "Kept. There is no ground truth to tell whether rightly.", removed: "Removed. There is no ground truth to tell whether rightly." };

function openDetails(card, id) {
  opened = { card, id };
  const dialog = document.getElementById("details");
  fillDetails();
  if (!dialog.open) dialog.show();
  document.getElementById("details-title").focus({ preventScroll: true });
  uncover(dialog, card.article, id);
}
// The segment stays in sight: the panel takes the other side, and what it would still cover moves up.
function uncover(dialog, article, id) {
  const boxOf = (part) => part.getBoundingClientRect(), stage = article.querySelector(".segments .stage");
  const segment = boxOf(article.querySelector(`.segment[data-segment="${id}"] .shape`));
  dialog.classList.toggle("left", segment.left + segment.right > innerWidth);
  const panel = boxOf(dialog), picture = boxOf(stage);
  if (picture.bottom > panel.top && picture.left < panel.right && picture.right > panel.left) stage.scrollIntoView({ behavior: "instant" });
}
function closeDetails() {
  const dialog = document.getElementById("details");
  if (dialog.open) dialog.close();
}
function detailsClosed() {
  const origin = opened?.card.article.querySelector(`.segment[data-segment="${opened.id}"]`);
  opened = null;
  document.querySelectorAll(".segment.chosen").forEach((one) => one.classList.remove("chosen"));
  origin?.focus();
}
function fillDetails() {
  const { card, id } = opened;
  const segment = segmentsOf(card.frame).find((one) => one.segment === id);
  if (!segment) return false;
  document.querySelectorAll(".segment.chosen").forEach((one) => one.classList.remove("chosen"));
  card.article.querySelector(`.segment[data-segment="${id}"]`)?.classList.add("chosen");
  document.getElementById("details-title").textContent = `Segment ${segment.segment}`;
  const where = `Frame ${card.frame.sample_id}, ${context.models[state.model] ?? state.model}, ${plural(segment.area, "pixel")}.`;
  const body = [element("p", { class: "quiet" }, where), element("p", { class: "verdict" }, VERDICTS[stateOf(segment, card.hasTruth)])];
  document.getElementById("details-body").replaceChildren(...body, ...(segment.probability === null ? noReason(card) : reasons(segment)));
  return true;
}
function noReason(card) {
  const reason = sweepOf(card.frame.dataset, state.model)?.undefined[state.threshold];
  return [element("p", {}, `No probability: ${reason || "the meta classifier did not judge this segment"}.`)];
}
function valued(name, part, value, text) {
  return element(name, { "data-part": part, "data-value": value }, text);
}
function chanceInWords(value) { return value < 0.0005 ? "below 0.001" : value >= 0.9995 ? "above 0.999" : digits(value); }
function reasons(segment) {
  const least = record.probabilities[state.probability];
  const rule = keepsAll(state.probability) ? "The slider is at “keep all”." : `From ${short(least)} on, segments are removed.`;
  const chance = element("p", { class: "chance" }, "Probability of a false alarm: ", valued("b", "probability", segment.probability, chanceInWords(segment.probability)), `. ${rule}`);
  if (segment.logit === null) return [chance, element("p", { class: "quiet" }, "This classifier does not split into contributions of features.")];
  return [chance, contributionTable(segment), arithmetic(segment)];
}
function contributionTable(segment) {
  const entries = segment.contributions.map((one) => [wordsOf(one.feature), one.contribution, one.feature, one.value]);
  const largest = Math.max(...entries.map((one) => Math.abs(one[1])), Math.abs(segment.rest ?? 0), 1e-9);
  const rows = entries.map(([words, value, feature, measured]) => contributionRow(words, value, largest, { "data-contribution": feature }, short(Number(measured.toPrecision(3)))));
  rows.unshift(contributionRow("start (intercept)", segment.intercept, Math.max(largest, Math.abs(segment.intercept)), { "data-part": "intercept" }, ""));
  rows.push(contributionRow("all other features", segment.rest ?? 0, largest, { "data-part": "rest" }, ""));
  const head = element("tr", {}, ...["What", "Value", "Speaks for", "Adds"].map((word) => element("th", { scope: "col" }, word)));
  const caption = element("caption", {}, element("span", {}, "What the features add, largest first: bars to the right speak for a false alarm, bars to the left for an object."));
  return element("table", { class: "contributions" }, caption, element("thead", {}, head), element("tbody", {}, ...rows));
}
function wordsOf(feature) { return context.words[state.model]?.[feature] ?? feature; }
function contributionRow(words, value, largest, attributes, measured) {
  const bar = element("i", { class: value < 0 ? "bar object-side" : "bar alarm-side", style: `--share: ${Math.min(1, Math.abs(value) / largest)}` });
  const side = element("span", { class: "sr-only" }, value < 0 ? "an object" : "a false alarm");
  return element("tr", { ...attributes, "data-value": value }, element("th", { scope: "row" }, words), element("td", { class: "num quiet" }, measured),
    element("td", { class: "bar-cell" }, bar, side), element("td", { class: "num" }, signed(value)));
}
function arithmetic(segment) {
  const terms = segment.contributions.map((one) => one.contribution).concat(segment.rest ?? 0);
  const sum = terms.map((value) => ` ${value < 0 ? "−" : "+"} ${digits(Math.abs(value))}`).join("");
  return element("p", { class: "sum" }, `${digits(segment.intercept)}${sum} = `, valued("b", "logit", segment.logit, digits(segment.logit)), " (logit); ",
    `1 / (1 + e^${digits(-segment.logit)}) = ${digits(segment.probability)}. Numbers are rounded.`);
}
// After a slider moved: segments of another threshold are others, those of another probability are the same.
function refreshDetails(sameSegments) {
  if (!opened) return;
  if (sameSegments && !opened.card.article.hidden && fillDetails()) return;
  opened = null; // the focus stays on the slider
  closeDetails();
}
