// Charts: figures from the page's JSON, drawn by Plotly when they come near, with the methods that are ticked.
const root = document.documentElement;
const charts = JSON.parse(document.getElementById("charts").textContent);
const places = [...document.querySelectorAll("[data-chart]")];
const near = new Set();
const FONT = getComputedStyle(document.body).fontFamily;
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtons: [["toImage", "resetScale2d"]] };
const TOUCH = matchMedia("(pointer: coarse)").matches; // a finger on a chart scrolls the page
const NARROW = 620; // pixels

// "$c0" or "$in/0.3" -> the style sheet's colour, with that opacity
function color(word) {
  const [name, alpha] = word.slice(1).split("/");
  const hex = getComputedStyle(root).getPropertyValue("--" + name).trim();
  if (!alpha) return hex;
  const part = (i) => parseInt(hex.slice(i, i + 2), 16);
  return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
}

function resolve(value) {
  if (typeof value === "string") return value.startsWith("$") ? color(value) : value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(resolve);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v)]));
  return value;
}

function axis(own) {
  return {
    gridcolor: "$grid", linecolor: "$grid", zerolinecolor: "$muted", tickfont: { color: "$muted", size: 12 }, automargin: true,
    ...own,
    title: own?.title ? { ...own.title, font: { color: "$soft", size: 13 }, standoff: 8 } : undefined,
  };
}

function layout(own) {
  const axes = Object.fromEntries(Object.entries({ xaxis: {}, yaxis: {}, ...own })
    .filter(([name]) => /^[xy]axis\d?$/.test(name)).map(([name, value]) => [name, axis(value)]));
  return resolve({
    dragmode: TOUCH ? false : "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
    font: { family: FONT, color: "$ink", size: 13 },
    margin: { l: 48, r: 18, t: 24, b: 40 },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { size: 13 } },
    hoverlabel: { bgcolor: "$card", bordercolor: "$muted", font: { color: "$ink", family: FONT } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "$muted", activecolor: "$accent" },
    ...own, ...axes,
  });
}

function wrap(text, columns) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last && (last + " " + word).length > columns) lines.push(word);
    else lines[lines.length - 1] = last ? last + " " + word : word;
  }
  return lines.join("<br>");
}

// A forest has a line per method shown; its panels stand side by side, on a narrow page below each other.
function forest(chart, data, narrow) {
  const labels = [...new Map(data.map((trace) => [trace.meta, trace.label])).entries()];
  const rows = labels.map(([key]) => key);
  const text = labels.map(([, label]) => wrap(label, narrow ? 20 : 40));
  const row = 9 + 15 * Math.max(1, ...text.map((one) => one.split("<br>").length));
  const count = chart.panels.length;
  const panel = Math.max(60, rows.length * row);
  const step = panel + 64; // a panel and what stands between two of them, in pixels
  const whole = narrow ? count * step - 64 : panel;
  const height = whole + 80;
  const own = { height, hovermode: "closest", annotations: [], margin: { l: 20, r: 18, t: 30, b: 40 } };
  chart.panels.forEach((title, at) => {
    const name = at ? String(at + 1) : "";
    const [start, end] = narrow ? [1 - (at * step + panel) / whole, 1 - (at * step) / whole] : [at / count + (at ? 0.03 : 0), (at + 1) / count];
    own["xaxis" + name] = { domain: narrow ? [0, 1] : [start, end], anchor: "y" + name, zeroline: false, nticks: 5 };
    own["yaxis" + name] = {
      domain: narrow ? [start, end] : [0, 1], anchor: "x" + name, range: [rows.length - 0.5, -0.5], fixedrange: true, zeroline: false,
      tickvals: rows.map((_, i) => i), ticktext: text, showticklabels: narrow || at === 0, tickfont: { color: "$ink", size: narrow ? 11 : 12 },
    };
    own.annotations.push({ text: title, xref: `x${name} domain`, yref: `y${name} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 13, color: "$soft" } });
  });
  const placed = data.map((trace) => {
    const name = trace.panel ? String(trace.panel + 1) : "";
    return { ...trace, xaxis: "x" + name, yaxis: "y" + name, y: trace.x.map(() => rows.indexOf(trace.meta)) };
  });
  return { data: placed, layout: own };
}

function figure(element) {
  const score = element.id.startsWith("violin-") ? "/" + document.getElementById("violin-score").value : "";
  const chart = charts[element.dataset.chart + score] ?? { data: [], layout: {} };
  const data = chart.data.filter((trace) => !trace.meta || isTicked(trace.meta));
  if (chart.panels) return forest(chart, data, element.clientWidth < NARROW);
  const own = { ...chart.layout };
  if (element.id.startsWith("roc-") && document.getElementById("log-fpr")?.checked) {
    own.xaxis = { ...own.xaxis, type: "log", range: [-4, 0], dtick: 1, exponentformat: "power" };
  }
  if (own.legend?.y < 0) { // a legend below the chart: long names are broken, else they push the chart aside
    const columns = Math.max(24, Math.floor((element.clientWidth - 70) / 7));
    return { data: data.map((trace) => (trace.name ? { ...trace, name: wrap(trace.name, columns) } : trace)), layout: own };
  }
  return { data, layout: own };
}

function nothing(own) {
  const note = { text: "nothing to show: no method with these numbers is ticked", showarrow: false, x: 0.5, y: 0.5, xref: "paper", yref: "paper", font: { color: "$muted" } };
  return { ...own, annotations: [note], shapes: [] };
}

function draw(element) {
  const { data, layout: own } = figure(element);
  const shown = new Set(data.map((trace) => trace.meta).filter(Boolean));
  const methods = charts[element.dataset.chart]?.data.some((trace) => trace.meta) || element.id.startsWith("violin-");
  Plotly.react(element, resolve(data), layout(methods && !shown.size ? nothing(own) : own), CONFIG);
  element.dataset.drawn = "yes";
  element.dataset.methods = shown.size;
  element.dataset.stale = "";
}

function redraw(chosen = places) {
  chosen.forEach((element) => { element.dataset.stale = "yes"; if (near.has(element)) draw(element); });
}

function drawAll() {
  places.filter((element) => element.offsetParent !== null).forEach(draw);
}

function startCharts() {
  if (!window.Plotly) return;
  const watcher = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    if (!isIntersecting) { near.delete(target); return; }
    near.add(target);
    if (target.dataset.drawn !== "yes" || target.dataset.stale === "yes") draw(target);
  }), { rootMargin: "500px" });
  places.forEach((element) => watcher.observe(element));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  document.getElementById("log-fpr")?.addEventListener("change", () => redraw(places.filter((one) => one.id.startsWith("roc-"))));
  document.getElementById("violin-score")?.addEventListener("change", () => redraw(places.filter((one) => one.id.startsWith("violin-"))));
  let width = innerWidth;
  addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; redraw(places.filter((one) => one.id.startsWith("forest-"))); } });
  addEventListener("beforeprint", () => { root.classList.add("printing"); drawAll(); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); redraw(); });
}
