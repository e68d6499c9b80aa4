// Segments as shapes over a picture. Fill and hatching say kept and removed, solid and dashed rims object and none.
const SVG = "http://www.w3.org/2000/svg";
const STATE_WORDS = { hit: "kept, on an unknown object", false_alarm: "kept, a false alarm", removed_rightly: "removed rightly",
  removed_wrongly: "removed wrongly, on an unknown object", kept: "kept", removed: "removed" };

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function pathOf(outline) {
  return outline.filter((polygon) => polygon.length)
    .map((polygon) => `M${polygon.map(([row, col]) => `${col + 0.5} ${row + 0.5}`).join("L")}Z`).join("");
}
function stateOf(segment, hasTruth) {
  const removed = isRemoved(segment);
  if (!hasTruth) return removed ? "removed" : "kept";
  if (removed) return segment.is_false_positive ? "removed_rightly" : "removed_wrongly";
  return segment.is_false_positive ? "false_alarm" : "hit";
}
function segmentsOf(frame) { return frame.segments[state.model]?.[state.threshold] ?? []; }
function missedObjects(frame, hasTruth) {
  const touched = new Set(segmentsOf(frame).filter((segment) => !isRemoved(segment)).flatMap((segment) => segment.ground_truth));
  return hasTruth ? frame.objects.filter((object) => !touched.has(object.ground_truth)) : [];
}
function hatching(id, kind, size) {
  const line = shape("path", { d: `M0 0H${size}`, class: `hatch-line ${kind}`, "stroke-width": size * 0.9 });
  return shape("pattern", { id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, line);
}
function segmentShape(segment, number, hasTruth, first) {
  const what = stateOf(segment, hasTruth), path = pathOf(segment.outline);
  const chance = segment.probability === null ? "" : `, probability of a false alarm ${digits(segment.probability, 2)}`;
  const words = `Segment ${segment.segment}: ${STATE_WORDS[what]}${chance}`;
  const drawn = shape("path", { class: "shape", d: path, "fill-rule": "evenodd" }, Object.assign(shape("title"), { textContent: words }));
  if (what.startsWith("removed")) drawn.style.fill = `url(#hatch-${number}-${what})`;
  return shape("g", { class: "segment", role: "button", tabindex: first ? 0 : -1, "aria-label": words,
    "data-segment": segment.segment, "data-state": what }, shape("path", { class: "reach", d: path }), drawn);
}
function missedMark(object, frame) {
  const rows = object.outline.flat().map((point) => point[0]), cols = object.outline.flat().map((point) => point[1]);
  if (!rows.length) return null;
  const margin = frame.width / 100, tall = frame.width / 26;
  const left = Math.max(0, Math.min(...cols) - margin), top = Math.max(0, Math.min(...rows) - margin);
  const box = { x: left, y: top, width: Math.min(frame.width, Math.max(...cols) + 1 + margin) - left,
    height: Math.min(frame.height, Math.max(...rows) + 1 + margin) - top };
  const tag = { x: Math.min(left, frame.width - 3.6 * tall), y: top >= 1.15 * tall ? top - 1.15 * tall : Math.min(top + box.height, frame.height - 1.15 * tall) };
  return shape("g", { class: "missed", "data-object": object.ground_truth }, shape("rect", { class: "casing", ...box }), shape("rect", box),
    shape("g", { class: "flag" }, shape("rect", { class: "tag", ...tag, width: 3.6 * tall, height: 1.15 * tall }),
      Object.assign(shape("text", { x: tag.x + 0.2 * tall, y: tag.y + 0.88 * tall, "font-size": tall, textLength: 3.2 * tall, lengthAdjust: "spacingAndGlyphs" }), { textContent: "missed" })));
}
function drawOverlay(svg, frame, number, hasTruth) {
  const size = frame.width / 44;
  const patterns = ["removed_rightly", "removed_wrongly", "removed"].map((kind) => hatching(`hatch-${number}-${kind}`, kind, size));
  const objects = frame.objects.flatMap((object) => ["object casing", "object"].map((name) =>
    shape("path", { class: name, "data-object": object.ground_truth, d: pathOf(object.outline), "fill-rule": "evenodd" })));
  const segments = [...segmentsOf(frame)].sort((a, b) => b.area - a.area) // small ones on top
    .map((segment, place) => segmentShape(segment, number, hasTruth, place === 0));
  const missed = missedObjects(frame, hasTruth).map((object) => missedMark(object, frame)).filter(Boolean);
  svg.classList.add("live");
  svg.replaceChildren(shape("defs", {}, ...patterns), ...segments, ...objects, ...missed);
}
