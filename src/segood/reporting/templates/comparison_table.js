// Tables: sorting by any column, marks on the best of the methods shown, reasons of empty cells.
const tables = [...document.querySelectorAll("table.results")];

function cellOf(row, column) {
  return row.querySelector(`[data-column="${column}"]`);
}

function valueOf(row, column) {
  const text = cellOf(row, column)?.dataset.value;
  return text === undefined ? null : Number(text);
}

// Returns the order of two rows; undefined values stay last whatever the direction.
function byValue(column, rising) {
  return (a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === null || y === null) return (x === null) - (y === null) || a.dataset.order - b.dataset.order;
    return (rising ? x - y : y - x) || a.dataset.order - b.dataset.order;
  };
}

function byName(rising) {
  const name = (row) => row.querySelector("th.method").dataset.value;
  return (a, b) => (rising ? 1 : -1) * name(a).localeCompare(name(b)) || a.dataset.order - b.dataset.order;
}

function byOrder(rising) {
  return (a, b) => (rising ? 1 : -1) * (a.dataset.order - b.dataset.order);
}

function sortBy(button) {
  const table = button.closest("table");
  const head = button.closest("th");
  const { column, up } = button.dataset;
  const first = up === "yes" ? "descending" : "ascending"; // the best on top
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  const rising = direction === "ascending";
  const order = column === "method" ? byName(rising) : column === "network" ? byOrder(rising) : byValue(column, rising);
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(order));
}

// The best as printed: two cells that read the same are both best or neither; none where all are equal.
function markBest(table) {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  table.querySelectorAll("td.top").forEach((cell) => cell.classList.remove("top"));
  table.querySelectorAll(".sort[data-up]").forEach(({ dataset: { column, up } }) => {
    const cells = rows.map((row) => cellOf(row, column)).filter((cell) => cell?.dataset.value !== undefined);
    const texts = new Set(cells.map((cell) => cell.querySelector(".value").textContent));
    if (texts.size < 2) return;
    const sign = up === "yes" ? 1 : -1;
    const best = cells.reduce((a, b) => (sign * (b.dataset.value - a.dataset.value) > 0 ? b : a));
    const text = best.querySelector(".value").textContent;
    cells.filter((cell) => cell.querySelector(".value").textContent === text).forEach((cell) => cell.classList.add("top"));
  });
}

const tip = document.getElementById("tip");
let explained = null; // the cell that the tip belongs to

function showTip(cell) {
  explained = cell;
  tip.textContent = cell.dataset.reason;
  tip.hidden = false;
  placeTip();
}

function placeTip() { // also while the page scrolls: a cell that gets the focus scrolls into view after that
  if (!explained) return;
  const box = explained.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.right - tip.offsetWidth), innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 0 ? above : box.bottom + 6}px`;
}

function hideTip() {
  explained = null;
  tip.hidden = true;
}

function startTables() {
  document.querySelectorAll(".sort").forEach((button) => button.addEventListener("click", () => sortBy(button)));
  document.querySelectorAll("td[data-reason]").forEach((cell) => {
    for (const event of ["mouseenter", "focusin"]) cell.addEventListener(event, () => showTip(cell));
    for (const event of ["mouseleave", "focusout"]) cell.addEventListener(event, hideTip);
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  addEventListener("scroll", placeTip, { passive: true, capture: true }); // the tables scroll, too
}
