// Pairs: is one method better than another? Drawn pairs in either direction; else plain differences, called so.
const comparison = JSON.parse(document.getElementById("comparison").textContent);

function signed(value, digits) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits);
  return (Number(text) === 0 ? "±" : value > 0 ? "+" : "−") + text;
}

function percent(share) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;
}

function negated(value) {
  return value === null ? null : -value;
}

// Returns a drawn pair as "a minus b", whichever way it was drawn; null where it was not.
function drawnPair(dataset, metric, a, b) {
  const of = (first, second) => comparison.pairs.find((pair) => pair.dataset === dataset && pair.metric === metric && pair.a === first && pair.b === second);
  const pair = of(a, b);
  if (pair) return { ...pair, paired: true };
  const turned = of(b, a);
  if (!turned) return null;
  return {
    ...turned, paired: true, value: negated(turned.value), low: negated(turned.high), high: negated(turned.low),
    share: turned.share === null ? null : 1 - turned.share,
  };
}

function plainDifference(dataset, metric, a, b) {
  const of = (method) => comparison.values.find((one) => one.dataset === dataset && one.method === method) ?? {};
  const [first, second] = [of(a), of(b)];
  const both = metric === "errors" && isNumber(first.errors_meta) && isNumber(second.errors_meta);
  const key = both ? "errors_meta" : metric;
  const known = isNumber(first[key]) && isNumber(second[key]);
  return { value: known ? first[key] - second[key] : null, low: null, high: null, share: null, paired: false };
}

function isNumber(value) {
  return typeof value === "number";
}

// Returns 1 where the first is better, -1 where worse, 0 where the interval does not tell.
function verdictOf(found, up) {
  if (!isNumber(found.low) || !isNumber(found.high)) return 0;
  const sign = found.low > 0 ? 1 : found.high < 0 ? -1 : 0;
  return up ? sign : -sign;
}

function pairRows(a, b) {
  return comparison.datasets.flatMap((dataset) => comparison.metrics.map((metric) => ({
    dataset, metric, found: drawnPair(dataset.key, metric.key, a, b) ?? plainDifference(dataset.key, metric.key, a, b),
  })));
}

function addCell(row, text, kind) {
  const cell = document.createElement("td");
  cell.textContent = text;
  if (kind) cell.className = kind;
  row.append(cell);
}

function pairRow({ dataset, metric, found }) {
  const row = document.createElement("tr");
  Object.assign(row.dataset, { dataset: dataset.key, metric: metric.key, paired: found.paired ? "yes" : "no" });
  for (const name of ["value", "low", "high", "share"]) if (isNumber(found[name])) row.dataset[name] = found[name];
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = dataset.title;
  row.append(head);
  addCell(row, `${metric.title} ${metric.up ? "↑" : "↓"}`);
  addCell(row, signed(found.value, metric.digits), "num");
  const interval = isNumber(found.low) ? `[${signed(found.low, metric.digits)}, ${signed(found.high, metric.digits)}]` : "–";
  addCell(row, interval, "num");
  addCell(row, percent(found.share), "num");
  const verdict = verdictOf(found, metric.up);
  const words = found.value === null ? "undefined for one of them" : !found.paired ? "not paired" : verdict > 0 ? "first is better" : verdict < 0 ? "second is better" : "not told apart";
  addCell(row, words, verdict > 0 ? "change better" : verdict < 0 ? "change worse" : "quiet");
  return row;
}

function sumUp(rows, a, b) {
  const label = (key) => comparison.methods.find((one) => one.key === key)?.label ?? key;
  if (a === b) return "Choose two different methods.";
  const paired = rows.filter((row) => row.found.paired);
  if (!paired.length) return "";
  const count = (wanted) => paired.filter((row) => verdictOf(row.found, row.metric.up) === wanted).length;
  return `${label(a)} is better in ${count(1)}, worse in ${count(-1)}, and not told apart in ${count(0)} of ${paired.length} paired numbers.`;
}

function showPair() {
  const [a, b] = ["pair-a", "pair-b"].map((id) => document.getElementById(id).value);
  const rows = a === b ? [] : pairRows(a, b);
  document.querySelector("#pair-table tbody").replaceChildren(...rows.map(pairRow));
  document.getElementById("pair-missing").hidden = a === b || rows.some((row) => row.found.paired);
  document.getElementById("pair-verdict").textContent = sumUp(rows, a, b);
  hideOtherDatasets();
}

function startPairs() {
  const [a, b] = ["pair-a", "pair-b"].map((id) => document.getElementById(id));
  if (!a || !b) return;
  const first = comparison.pairs[0];
  a.value = first ? first.a : comparison.methods[0].key;
  b.value = first ? first.b : comparison.methods[1].key;
  a.addEventListener("change", showPair);
  b.addEventListener("change", showPair);
  document.getElementById("pair-swap").addEventListener("click", () => { [a.value, b.value] = [b.value, a.value]; showPair(); });
  showPair();
}
