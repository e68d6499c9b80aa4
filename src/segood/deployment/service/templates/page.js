"use strict";
// What is shown comes from the service: moving a slider asks it again. Nothing is computed here.
(() => {
  const $ = (id) => document.getElementById(id);
  const facts = JSON.parse(document.body.dataset.facts);
  const LARGEST_ROWS = 100, NUMBERED = 15, MAX_TRIES = 5;
  let file = null, answer = null, running = null, timer = 0;

  const own = () => { $("threshold").value = facts.threshold; $("probability").value = facts.probability_threshold; };
  const share = (value) => `${(100 * value).toFixed(value < 0.1 ? 2 : 1)} %`;
  const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const view = () => document.querySelector("input[name=view]:checked").value;

  function showThresholds() {
    $("threshold-value").value = Number($("threshold").value).toFixed(2);
    $("probability-value").value = Number($("probability").value).toFixed(2);
    $("marker").style.left = `${100 * $("threshold").value}%`;
  }

  function fail(message) {
    $("error").textContent = message;
    $("error").hidden = false;
    $("status").textContent = "";
  }

  async function ask(tries = 1) {
    if (!file) return;
    if (running) running.abort();
    clearTimeout(timer);
    const mine = running = new AbortController();
    const query = new URLSearchParams({ detail: "page", threshold: $("threshold").value, probability_threshold: $("probability").value });
    const form = new FormData();
    form.append("file", file, "image");
    const headers = facts.needs_key ? { "X-API-Key": $("key").value } : {};
    document.body.classList.add("waiting");
    $("status").textContent = "Looking …";
    try {
      const response = await fetch(`v1/detect?${query}`, { method: "POST", body: form, headers, signal: mine.signal });
      const found = await response.json();
      if (mine !== running) return;
      if (response.status === 429 && tries < MAX_TRIES) {
        const wait = Number(response.headers.get("Retry-After")) || 1;
        $("status").textContent = `The service is busy; asking again in ${wait} s.`;
        timer = setTimeout(() => ask(tries + 1), 1000 * wait);
        return;
      }
      if (!response.ok) throw new Error(found.error.message);
      answer = found;
      $("error").hidden = true;
      show();
      document.body.dataset.answered = String(Number(document.body.dataset.answered || 0) + 1);
    } catch (error) {
      if (error.name !== "AbortError") fail(error instanceof TypeError ? "The service does not answer." : `Not done: ${error.message}.`);
    } finally {
      if (mine === running) document.body.classList.remove("waiting");
    }
  }

  function show() {
    const all = [...answer.objects.map((o) => ({ ...o, kept: true })), ...answer.removed.map((o) => ({ ...o, kept: false }))];
    all.sort((a, b) => b.kept - a.kept || b.area - a.area);
    for (const id of ["views", "legend", "picture"]) $(id).hidden = false;
    $("empty").hidden = true;
    showPicture(all);
    const network = answer.seconds.network;
    const parts = [count(answer.objects.length, "unknown object")];
    if (answer.removed.length) parts.push(`${count(answer.removed.length, "segment")} removed as false alarms`);
    if (answer.flagged_share !== null) parts.push(`${share(answer.flagged_share)} of the pixels flagged`);
    parts.push(`${answer.width} × ${answer.height} pixels`);
    if (network !== undefined) parts.push(`network ${Math.round(1000 * network)} ms`);
    $("verdict").hidden = answer.no_verdict === null;
    if (answer.no_verdict) {
      $("verdict").textContent = `No verdict: ${answer.no_verdict.message}. This does not mean that the road is free.`;
      $("status").textContent = `${answer.width} × ${answer.height} pixels`;
    } else $("status").textContent = parts.join(" · ");
    $("rows").replaceChildren(...all.slice(0, LARGEST_ROWS).map(row));
    $("table-box").hidden = all.length === 0;
    $("more").hidden = all.length <= LARGEST_ROWS;
    $("more").textContent = `The ${LARGEST_ROWS} largest of ${all.length} segments.`;
  }

  function because(reasons) {
    const [most] = reasons.filter((r) => r.weight > 0), [least] = reasons.filter((r) => r.weight < 0);
    return [most && `for: ${most.words}`, least && `against: ${least.words}`].filter(Boolean).join("; ") || "–";
  }

  function row(segment) {
    const [row0, col0, row1, col1] = segment.box;
    const cells = [String(segment.id), segment.kept ? "reported" : "removed", String(segment.area), segment.score.toFixed(3),
      `${row0}–${row1 - 1}, ${col0}–${col1 - 1}`];
    if (facts.has_meta) cells.push(segment.probability === null ? "–" : share(segment.probability), because(segment.reasons));
    const line = document.createElement("tr");
    cells.forEach((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      cell.className = { 2: "num", 3: "num", 5: "num", 6: "because" }[i] || "";
      cell.textContent = text;
      line.append(cell);
    });
    return line;
  }

  function showPicture(all) {
    const shown = view(), named = file.name || "the image";
    const words = {
      overlay: `${named} with ${count(answer.objects.length, "unknown object")} marked and ${answer.removed.length} removed segments hatched`,
      score: `Score map of ${named}, brighter where the network knows less`,
      image: `${named} as the network saw it`,
    };
    $("picture").src = answer.pictures[shown];
    $("picture").alt = words[shown];
    $("legend-overlay").hidden = shown !== "overlay";
    $("legend-score").hidden = shown !== "score";
    $("legend").hidden = shown === "image";
    $("marks").toggleAttribute("hidden", !$("numbers").checked);
    $("marks").setAttribute("viewBox", `0 0 ${answer.width} ${answer.height}`);
    const size = Math.max(answer.width / 45, 4);
    $("marks").replaceChildren(...all.filter((s) => s.kept).slice(0, NUMBERED).map((segment) => {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.setAttribute("x", Math.min(segment.box[1], answer.width - size));
      text.setAttribute("y", Math.max(segment.box[0] - 0.2 * size, size));
      text.style.fontSize = `${size}px`;
      text.style.strokeWidth = `${size / 5}px`;
      text.textContent = segment.id;
      return text;
    }));
  }

  function choose(chosen) {
    if (!chosen) return;
    if (chosen.size > facts.max_bytes) { fail(`Not done: ${chosen.name} has more than ${facts.max_bytes} bytes.`); return; }
    file = chosen;
    $("chosen").textContent = `${chosen.name}, ${Math.ceil(chosen.size / 1024)} KiB`;
    ask();
  }

  function moved() {
    showThresholds();
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  }

  own();
  showThresholds();
  $("key-row").hidden = !facts.needs_key;
  for (const cell of document.querySelectorAll(".meta-only")) cell.hidden = !facts.has_meta;
  if (facts.has_meta === false) {
    $("probability").disabled = true;
    $("probability-help").textContent = "This monitor has no false-alarm filter.";
  }
  $("file").addEventListener("change", () => choose($("file").files[0]));
  for (const id of ["threshold", "probability"]) $(id).addEventListener("input", moved);
  $("reset").addEventListener("click", () => { own(); moved(); });
  $("key-row").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  $("key").addEventListener("change", () => ask());
  for (const input of document.querySelectorAll("#views input")) input.addEventListener("change", () => answer && show());
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    choose(event.dataTransfer.files[0]);
  });
  document.body.dataset.ready = "yes";
})();
