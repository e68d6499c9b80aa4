// What the sliders stand on: the embedded record, and where they are. Nothing is computed between two places of a grid.
const state = { threshold: 0, probability: 0, model: null, dataset: "", sort: "file", filter: "all", page: 0 };
let record = null; // exploration.json
let context = null; // places of the run's own values, titles, features in words

async function readEmbedded(id) {
  const element = document.getElementById(id);
  if (!element) return null;
  if (element.type === "application/json") return JSON.parse(element.textContent);
  const packed = atob(element.textContent), bytes = new Uint8Array(packed.length);
  for (let place = 0; place < packed.length; place += 1) bytes[place] = packed.charCodeAt(place);
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(unpacked).text());
}
function ownValues() {
  Object.assign(state, { threshold: context.threshold, probability: context.probability, model: context.model, dataset: "" });
}
function keepsAll(place) { return record.probabilities[place] > 1; }
function isRemoved(segment) {
  return segment.probability !== null && segment.probability >= record.probabilities[state.probability];
}
function digits(value, count = 3) { return value === null ? "–" : value.toFixed(count).replace("-", "−"); }
function signed(value, count = 3) { return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(count); }
function whole(value) { return value === null ? "–" : value.toLocaleString("en-US"); }
function short(value) { return String(Number(value.toPrecision(6))).replace("-", "−"); }
function plural(count, word) { return `${whole(count)} ${word}${count === 1 ? "" : "s"}`; }
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
