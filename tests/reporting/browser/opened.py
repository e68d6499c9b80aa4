"""A page in the browser, as a reader with eyes, a keyboard or a screen reader has it.

In: a file. Out: `OpenedPage`, which records what the page asks of the network and complains of, and answers
the questions that tests ask of every page.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

DESKTOP, PHONE = (1280, 900), (412, 900)
INSIDE = ("file:", "data:", "blob:")
ALL_DRAWN = "[...document.querySelectorAll('[data-chart]')].every((e) => e.dataset.drawn === 'yes')"
PATIENCE_MS = 240_000
"""How long a busy machine may take for what an idle one does at once."""

# What Tab may stop at: one of a group of radio buttons, nothing that is hidden, closed or switched off.
_STOPS = """() => {
  const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')];
  return all.filter((e) => {
    if (e.tabIndex < 0 || e.disabled || !e.checkVisibility({visibilityProperty: true})) return false;
    if (e.type !== 'radio') return true;
    const group = all.filter((o) => o.type === 'radio' && o.name === e.name);
    return e === (group.find((o) => o.checked) || group[0]);
  });
}"""
_WORDS = "(e) => e.id ? '#' + e.id : e.outerHTML.slice(0, 120)"


@dataclass
class OpenedPage:
    """A page and what it did so far.

    Attributes:
        page: of Playwright.
        requests: addresses outside the page that it asked for; all are refused.
        complaints: errors and warnings on the console, exceptions.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        browser: Browser,
        path: Path,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        calm: bool = False,
    ) -> OpenedPage:
        """Open a file in a window of its own.

        Args:
            browser: to open it in.
            path: of an HTML file.
            size: columns and rows of the window.
            dark: the reader prefers dark pages.
            calm: the reader prefers reduced motion.
        """
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if calm else "no-preference",
        )
        context.route(re.compile(r"^(?!file:|data:|blob:)"), lambda route: route.abort())
        context.set_default_timeout(PATIENCE_MS)
        opened = cls(context.new_page())
        opened.page.on("request", opened._note_request)
        opened.page.on("websocket", lambda socket: opened.requests.append(socket.url))
        opened.page.on("console", opened._note_message)
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(path.as_uri(), wait_until="load")
        return opened

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(INSIDE):
            self.requests.append(request.url)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(message.text)

    def seconds_to_load(self) -> float:
        """Return the time from the call of the page to its load event."""
        milliseconds = self.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        return float(milliseconds) / 1000

    def wait_for(self, condition: str, *, seconds: float = PATIENCE_MS / 1000) -> None:
        """Wait until a JavaScript expression is true."""
        self.page.wait_for_function(condition, timeout=1000 * seconds)

    def numbers(self, selector: str, attribute: str) -> list[float | None]:
        """Return an attribute of all elements as numbers, in the page's order; None where it is empty."""
        script = "(all, name) => all.map((e) => e.getAttribute(name))"
        values = self.page.locator(selector).evaluate_all(script, attribute)
        return [float(value) if value else None for value in values]

    def words(self, selector: str) -> str:
        """Return the visible text of an element."""
        return self.page.locator(selector).inner_text()

    def data(self, script_id: str) -> Any:
        """Return the JSON inside a `<script>`."""
        return json.loads(self.page.locator(f"script#{script_id}").text_content() or "")

    def report_numbers(self, dataset: str, model: str) -> dict[str, float | None]:
        """Return the numbers beside the sliders, of a network on a data set."""
        cells = self.page.locator(f"[data-number][data-dataset='{dataset}'][data-model='{model}']")
        found = cells.evaluate_all("(all) => all.map((e) => [e.dataset.number, e.dataset.value])")
        return {name: float(value) if value else None for name, value in found}

    def move_sliders(self, threshold: int, probability: int) -> None:
        """Move the report's sliders to places of their grids."""
        self.page.locator("#threshold").fill(str(threshold))
        self.page.locator("#probability").fill(str(probability))

    def press(self, selector: str, *keys: str) -> None:
        """Bring the focus to an element and press keys."""
        self.page.locator(selector).focus()
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self) -> str:
        """Return the id of the element that has the focus, or the beginning of its source."""
        return str(self.page.evaluate(f"({_WORDS})(document.activeElement)"))

    def not_reached_by_tab(self) -> list[str]:
        """Walk through the page with Tab; return the controls at which it never stopped."""
        stops = self.page.evaluate_handle(_STOPS)
        count = int(stops.evaluate("(all) => all.length"))
        self.page.evaluate("""() => {
          window.reached = new Set();
          document.addEventListener('focusin', (event) => window.reached.add(event.target));
          document.activeElement.blur();
        }""")
        for _ in range(count + 10):  # a browser also stops at what can be scrolled
            self.page.keyboard.press("Tab")
        return list(stops.evaluate(f"(all) => all.filter((e) => !window.reached.has(e)).map({_WORDS})"))

    def serious_violations(self) -> list[str]:
        """Return what the accessibility checker finds that keeps people out."""
        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        return [
            f"{item['id']}: {item['help']}: {node['target']} {node.get('failureSummary', '')}"
            for item in found
            if item["impact"] in ("serious", "critical")
            for node in item["nodes"][:5]
        ]

    def photograph(self, path: Path) -> None:
        """Write a picture of the whole page, also of what a browser leaves out until it comes into view."""
        self.page.add_style_tag(content="* { content-visibility: visible !important; }")
        self.page.screenshot(path=path, full_page=True)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))
