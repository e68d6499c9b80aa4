// Frames: facts at the current sliders, order, filter, pages. Frames without a record keep the facts they came with.
const PER_PAGE = 24;
const SORTED_BY = {
  errors: (facts) => -facts.errors, missed_area: (facts) => -facts.missedArea, false_alarm_area: (facts) => -facts.falseAlarmArea,
  smallest_object: (facts) => facts.smallestObject, file: () => 0,
};
const FILTERS = { all: () => true, missed: (facts) => facts.missed > 0, false_alarm: (facts) => facts.falseAlarms > 0,
  removed_rightly: (facts) => facts.removedRightly > 0, removed_wrongly: (facts) => facts.removedWrongly > 0 };
const cards = [];

function collectCards() {
  const known = new Map((record?.frames ?? []).map((frame) => [JSON.stringify([frame.dataset, frame.sample_id]), frame]));
  document.querySelectorAll("article.frame").forEach((article, number) => {
    const { dataset, sample, truth } = article.dataset;
    const frame = article.querySelector("svg.overlay") ? known.get(JSON.stringify([dataset, sample])) : undefined;
    cards.push({ article, number, frame, hasTruth: truth === "yes", stored: storedFacts(article.dataset) });
  });
}
function storedFacts(data) {
  const [errors, missed, falseAlarms, removedRightly, removedWrongly] =
    [data.errors, data.missed, data.falseAlarms, data.removedRightly, data.removedWrongly].map(Number);
  return { errors, missed, falseAlarms, removedRightly, removedWrongly, missedArea: 0, falseAlarmArea: 0, smallestObject: Infinity };
}
// False alarms smaller than those with an outline are counted only; the same as `unshown_segments` in explore/overlay.py.
function unshownIn(frame) {
  const counts = frame.unshown?.[state.model]?.[state.threshold] ?? [];
  const all = counts.at(-1) ?? 0, kept = counts[Math.min(state.probability, counts.length - 1)] ?? 0;
  return { all, kept, removed: all - kept };
}
function factsOf(card) {
  if (!card.frame) return card.stored;
  const segments = segmentsOf(card.frame).map((segment) => [segment, stateOf(segment, card.hasTruth)]);
  const missed = missedObjects(card.frame, card.hasTruth);
  const more = unshownIn(card.frame), judged = card.hasTruth ? more : { kept: 0, removed: 0 };
  const areaOf = (items) => items.reduce((sum, item) => sum + item.area, 0);
  const inState = (...names) => segments.filter(([, name]) => names.includes(name)).map(([segment]) => segment);
  return { missed: missed.length, missedArea: areaOf(missed), falseAlarms: inState("false_alarm").length + judged.kept,
    falseAlarmArea: areaOf(inState("false_alarm")), removedRightly: inState("removed_rightly").length + judged.removed,
    removedWrongly: inState("removed_wrongly").length, errors: missed.length + inState("false_alarm").length + judged.kept,
    kept: inState("kept").length + more.kept, removed: inState("removed").length + more.removed, unshown: more.all,
    smallestObject: Math.min(...card.frame.objects.map((object) => object.area)) };
}
function showFacts(card) {
  const { facts, article } = card, data = article.dataset;
  Object.assign(data, { errors: facts.errors, missed: facts.missed, missedArea: facts.missedArea, falseAlarms: facts.falseAlarms,
    falseAlarmArea: facts.falseAlarmArea, removedRightly: facts.removedRightly, removedWrongly: facts.removedWrongly,
    smallestObject: Number.isFinite(facts.smallestObject) ? facts.smallestObject : "" });
  const line = article.querySelector(".facts-line"), count = card.frame.objects.length;
  const rest = facts.unshown ? ` · the ${whole(facts.unshown)} smallest are not drawn` : "";
  if (!card.hasTruth) { line.textContent = `no ground truth · ${plural(facts.kept, "segment")} kept · ${facts.removed} removed${rest}`; return; }
  const missed = facts.missed ? [" · ", element("strong", { class: "missed-word" }, `${facts.missed} missed`)] : [count ? " · none missed" : ""];
  const wrongly = facts.removedWrongly ? [" · ", element("strong", {}, `${facts.removedWrongly} removed wrongly`)] : [];
  line.replaceChildren(plural(count, "object"), ...missed, ` · ${plural(facts.falseAlarms, "false alarm")} kept · ${facts.removedRightly} removed rightly`, ...wrongly, rest);
}
function showCard(card) {
  const svg = card.article.querySelector("svg.overlay");
  if (!card.frame) return;
  drawOverlay(svg, card.frame, card.number, card.hasTruth);
  const title = card.article.querySelector(".segments .panel-title");
  title.textContent = `Segments: ${context.models[state.model] ?? state.model}`;
  const { facts, frame } = card;
  svg.previousElementSibling.alt = `${title.textContent}, frame ${frame.sample_id}: ${plural(segmentsOf(frame).length, "segment")}`
    + (card.hasTruth ? `; false alarms kept: ${facts.falseAlarms}; objects missed: ${facts.missed} of ${frame.objects.length}` : "");
}
function showGallery() {
  if (!cards.length) return;
  cards.forEach((card) => { card.facts = factsOf(card); if (card.frame) showFacts(card); });
  const matching = cards.filter((card) => (!state.dataset || card.article.dataset.dataset === state.dataset) && FILTERS[state.filter](card.facts));
  const value = SORTED_BY[state.sort];
  matching.sort((a, b) => { const x = value(a.facts), y = value(b.facts); return x < y ? -1 : x > y ? 1 : a.number - b.number; });
  const pages = Math.max(1, Math.ceil(matching.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  const shown = matching.slice(PER_PAGE * state.page, PER_PAGE * (state.page + 1));
  arrange(shown);
  shown.forEach(showCard);
  markThreshold(document.querySelector(".colorbar i[data-low]"));
  document.getElementById("previous").disabled = state.page === 0;
  document.getElementById("next").disabled = state.page === pages - 1;
  document.getElementById("gallery-state").textContent = `${matching.length} of ${plural(cards.length, "frame")}`
    + (pages > 1 ? `, page ${state.page + 1} of ${pages}` : "");
}
function markThreshold(bar) {
  const mark = bar?.querySelector("b");
  if (!mark) return;
  const { low, high } = bar.dataset, threshold = record.thresholds[state.threshold], share = (threshold - low) / (high - low);
  mark.hidden = share < 0 || share > 1;
  mark.style.left = `${100 * share}%`;
  mark.title = `t = ${short(threshold)}`;
  document.querySelector(".colorbar .mark").textContent = mark.hidden ? `t = ${short(threshold)} is outside` : `mark: ${mark.title}`;
}
function arrange(shown) {
  const visible = new Set(shown), list = document.getElementById("frames");
  cards.forEach((card) => { card.article.hidden = !visible.has(card); });
  const before = [...list.children].filter((article) => !article.hidden);
  if (shown.every((card, place) => card.article === before[place])) return; // moving a node would lose the focus
  shown.forEach((card) => list.append(card.article));
}
// The camera's picture is inside the page once, under its segments; beside them it is shown without.
function addPlainFrames() {
  cards.filter((card) => card.frame).forEach(({ article }) => {
    const sample = article.dataset.sample, source = article.querySelector(".segments img");
    const picture = element("img", { src: source.src, width: source.width, height: source.height, alt: `Camera image, frame ${sample}`, decoding: "async" });
    const button = element("button", { type: "button", class: "zoom", "aria-label": `Enlarge: frame ${sample}` }, picture);
    article.querySelector(".panels").prepend(element("figure", { class: "panel image" }, button, element("figcaption", {}, "Frame")));
  });
}
function walkSegments(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const own = event.target.closest?.(".segment");
  if (!step || !own) return;
  event.preventDefault();
  const all = [...own.closest("svg").querySelectorAll(".segment")];
  const next = all[(all.indexOf(own) + step + all.length) % all.length];
  own.setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
}
