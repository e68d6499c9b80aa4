// Operating points, lines of errors and marks of the threshold move with the sliders.
function moveCharts() {
  if (!window.segoodReport) return;
  const { charts, redraw } = window.segoodReport;
  document.querySelectorAll("[data-chart][data-dataset]").forEach((place) => {
    const figure = charts[place.dataset.chart];
    if (place.dataset.score === undefined || place.dataset.score === record.score) figure.data.forEach((trace) => moveTrace(trace, place));
  });
  Object.entries(charts).forEach(([id, figure]) => {
    const owner = document.querySelector(`[data-distribution="${id.split("-")[1]}"]`);
    if (owner && owner.dataset.score === record.score) moveMark(figure, id.startsWith("violin-") ? "y" : id.startsWith("histogram-") ? "x" : null);
  });
  redraw(["sweep", "roc", "pr", "violin", "histogram"]);
}
function moveTrace(trace, place) {
  const what = trace.meta || {};
  const sweep = sweepOf(place.dataset.dataset, what.operating ?? what.sweep ?? what.sweep_point);
  if (!sweep) return;
  const now = numbersAt(sweep, state.threshold, state.probability);
  if (what.sweep !== undefined) trace.y = record.thresholds.map((_, at) => numbersAt(sweep, at, state.probability).errors);
  if (what.sweep_point !== undefined) Object.assign(trace, { x: [record.thresholds[state.threshold]], y: [now.errors] });
  if (what.operating === undefined) return;
  const onRoc = place.dataset.chart.startsWith("roc-");
  trace.x = [onRoc ? now.fp / sweep.num_in : now.recall];
  trace.y = [onRoc ? now.recall : now.precision];
}
function moveMark(figure, axis) {
  const threshold = record.thresholds[state.threshold];
  if (!axis || !figure.layout.shapes) return;
  Object.assign(figure.layout.shapes[0], { [`${axis}0`]: threshold, [`${axis}1`]: threshold });
  Object.assign(figure.layout.annotations[0], { [axis]: threshold, text: `t = ${short(threshold)}` });
}
function switchView(view) {
  const moved = [...document.querySelectorAll("[data-distribution]")];
  moved.forEach((place) => { place.dataset.chart = `${view}-${place.dataset.distribution}`; });
  window.segoodReport?.redraw([view]);
}
