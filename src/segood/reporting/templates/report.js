(() => {
  "use strict";
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const FONT = getComputedStyle(document.body).fontFamily;
  const CONFIG = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtons: [["toImage", "resetScale2d"]] };
  const TOUCH = matchMedia("(pointer: coarse)").matches; // a finger on a chart scrolls the page

  // "$after" or "$in/0.3" -> the style sheet's colour, with that opacity
  function color(word) {
    const [name, alpha] = word.slice(1).split("/");
    const hex = getComputedStyle(root).getPropertyValue("--" + name).trim();
    if (!alpha) return hex;
    const part = (i) => parseInt(hex.slice(i, i + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
  }
  function resolve(value) {
    if (typeof value === "string") return /^\$[a-z]+(\/[\d.]+)?$/.test(value) ? color(value) || value : value;
    if (Array.isArray(value)) return value.map(resolve);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v)]));
    return value;
  }
  function layout(own) {
    const axis = { gridcolor: "$grid", linecolor: "$grid", zerolinecolor: "$muted", tickfont: { color: "$muted", size: 12 }, automargin: true };
    const title = (a) => (a && a.title ? { ...a.title, font: { color: "$soft", size: 13 }, standoff: 8 } : undefined);
    return resolve({
      dragmode: TOUCH ? false : "zoom",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { family: FONT, color: "$ink", size: 13 },
      margin: { l: 48, r: 18, t: 30, b: 40 },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { size: 13 } },
      hoverlabel: { bgcolor: "$card", bordercolor: "$muted", font: { color: "$ink", family: FONT } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "$muted", activecolor: "$accent" },
      ...own,
      xaxis: { ...axis, ...own.xaxis, title: title(own.xaxis) },
      yaxis: { ...axis, ...own.yaxis, title: title(own.yaxis) },
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
  // Bars carry whole phrases: on a narrow page they break into more lines, and each row gets their height; bars stay as thick.
  function bars(chart, narrow) {
    const labels = chart.data[0].y.map((text) => wrap(text, narrow ? 24 : 54));
    const lines = Math.max(...labels.map((text) => text.split("<br>").length));
    const row = 8 + Math.max(lines * (narrow ? 13 : 14), 15 * chart.data.length);
    const width = chart.data.length === 1 ? { width: 15 / row } : {};
    return { data: chart.data.map((trace) => ({ ...trace, y: labels, ...width })), layout: { ...chart.layout,
      height: 110 + labels.length * row,
      yaxis: { ...chart.layout.yaxis, tickfont: { color: "$ink", size: narrow ? 10 : 12 } } } };
  }
  function draw(element) {
    let chart = charts[element.dataset.chart];
    if (element.classList.contains("bars")) chart = bars(chart, element.clientWidth < 620);
    Plotly.react(element, resolve(chart.data), layout(chart.layout), CONFIG);
    element.dataset.drawn = "yes";
  }
  function logarithmic(on) {
    places.filter((p) => p.dataset.chart.startsWith("roc-")).forEach((place) => {
      charts[place.dataset.chart].layout.xaxis = { title: { text: "false positive rate" }, zeroline: false,
        ...(on ? { type: "log", range: [-5, 0], dtick: 1, exponentformat: "power" } : { range: [0, 1] }) };
    });
    redraw(["roc"]);
  }
  // Charts are drawn one after the other, those in sight first, so that the page answers meanwhile.
  const waiting = new Set();
  function inSight(place) {
    const box = place.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  }
  function drawNext() {
    const next = [...waiting].find(inSight) || [...waiting][0];
    if (!next) return;
    waiting.delete(next);
    if (next.clientWidth) draw(next); // one that is hidden is drawn when it is shown
    else next.dataset.stale = "yes";
    if (waiting.size) setTimeout(drawNext, 0);
  }
  function redraw(kinds) {
    const idle = waiting.size === 0;
    places.filter((p) => !kinds || kinds.includes(p.dataset.chart.split("-")[0])).forEach((p) => waiting.add(p));
    if (window.Plotly && idle && waiting.size) requestAnimationFrame(drawNext);
    if (!window.Plotly) waiting.clear(); // everything is drawn as soon as it is there
  }
  const places = [...document.querySelectorAll("[data-chart]")];
  function startPlotly() {
    const run = document.createElement("script");
    run.textContent = document.getElementById("plotly").textContent;
    document.head.append(run);
    redraw();
  }
  if (places.length) {
    document.addEventListener("segood:ready", () => {
      const soon = () => requestAnimationFrame(() => setTimeout(startPlotly, 0));
      if (document.readyState === "loading") addEventListener("DOMContentLoaded", soon); // its text is still being read
      else soon();
    }, { once: true });
    const now = () => window.Plotly && places.forEach(draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", now);
    document.getElementById("log-fpr")?.addEventListener("change", (event) => logarithmic(event.target.checked));
    addEventListener("beforeprint", () => { root.classList.add("printing"); now(); });
    addEventListener("afterprint", () => { root.classList.remove("printing"); now(); });
    window.segoodReport = { charts, redraw };
  }

  document.getElementById("large")?.addEventListener("change", (event) => {
    document.getElementById("gallery").classList.toggle("large", event.target.checked);
  });

  // Pictures enlarge in a dialog, with the shapes that lie over them; arrow keys walk through those that are shown.
  const viewer = document.getElementById("viewer");
  let shown = null;
  const buttons = () => [...document.querySelectorAll("button.zoom")].filter((button) => button.offsetParent);
  function partsOf(button) {
    const figure = button.closest("figure");
    return { picture: figure.querySelector("img"), shapes: figure.querySelector("svg.overlay") };
  }
  function enlarge(button) {
    shown = button;
    const { picture, shapes } = partsOf(button);
    const stage = viewer.querySelector(".stage"), large = document.createElement("img");
    Object.assign(large, { src: picture.src, alt: picture.alt });
    stage.style.setProperty("--ratio", picture.width / picture.height);
    stage.replaceChildren(large, ...(shapes ? [inert(shapes.cloneNode(true))] : []));
    viewer.querySelector("p").textContent = picture.alt;
    if (!viewer.open) viewer.showModal();
  }
  function inert(shapes) {
    shapes.setAttribute("aria-hidden", "true");
    shapes.querySelectorAll("[tabindex]").forEach((one) => ["tabindex", "role", "aria-label"].forEach((name) => one.removeAttribute(name)));
    shapes.querySelectorAll("pattern").forEach((one) => { one.id = `large-${one.id}`; one.setAttribute("patternTransform", "rotate(45) scale(0.5)"); });
    shapes.querySelectorAll(".shape").forEach((one) => { one.style.fill = one.style.fill.replace("#hatch", "#large-hatch"); });
    return shapes;
  }
  function move(step) {
    const all = buttons();
    enlarge(all[(all.indexOf(shown) + step + all.length) % all.length]);
  }
  document.addEventListener("click", (event) => { const button = event.target.closest("button.zoom"); if (button) enlarge(button); });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") move(1);
    if (event.key === "ArrowLeft") move(-1);
  });
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => shown.focus());

  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try { await navigator.clipboard.writeText(source.textContent); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(source); button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }));
})();
