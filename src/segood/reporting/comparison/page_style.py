"""How a method looks on the page: the colours, markers and lines of the printed figures, as Plotly has them.

In: `ComparisonResults`. Out: per method a `Look`: a colour word `$c0` … `$c8` that the page resolves against
its style sheet (light or dark), a Plotly symbol and dash, and the same marker as an SVG path for legends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segood.evaluation.comparison.results import ComparisonResults
from segood.reporting.comparison.style import COLORS, Style, method_styles

_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross",
    "X": "x", "<": "triangle-left", ">": "triangle-right", "p": "pentagon", "h": "hexagon",
}  # fmt: skip
_PATHS = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "square": "M-3.6 -3.6h7.2v7.2h-7.2z",
    "triangle-up": "M0 -4.6L4.4 3.4H-4.4z",
    "triangle-down": "M0 4.6L4.4 -3.4H-4.4z",
    "triangle-left": "M-4.6 0L3.4 4.4V-4.4z",
    "triangle-right": "M4.6 0L-3.4 4.4V-4.4z",
    "diamond": "M0 -5L5 0L0 5L-5 0z",
    "cross": "M-1.6 -4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
    "x": "M-4.4 -2.6l1.8-1.8L0-1.8l2.6-2.6l1.8 1.8L1.8 0l2.6 2.6l-1.8 1.8L0 1.8l-2.6 2.6l-1.8-1.8L-1.8 0z",
    "pentagon": "M0 -4.6L4.4 -1.4L2.7 3.7H-2.7L-4.4 -1.4z",
    "hexagon": "M0 -4.6L4 -2.3V2.3L0 4.6L-4 2.3V-2.3z",
}
_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
_STROKES = {"solid": "", "dash": "6 3", "dashdot": "6 2 1.5 2", "dot": "1.5 2.5", "longdashdot": "9 2 1.5 2"}


@dataclass(frozen=True)
class Look:
    """Colour number, Plotly symbol and dash of a method; `open` markers are those of the baseline network."""

    number: int
    symbol: str
    dash: str
    open: bool

    @property
    def color(self) -> str:
        """The colour as charts name it."""
        return f"$c{self.number}"

    @property
    def path(self) -> str:
        """The marker around (0, 0), at most 10 wide."""
        return _PATHS[self.symbol]

    @property
    def stroke(self) -> str:
        """The dash as an SVG `stroke-dasharray`."""
        return _STROKES[self.dash]

    def line(self, width: float = 2.0) -> dict[str, Any]:
        """Return Plotly's `line`."""
        return {"color": self.color, "width": width, "dash": self.dash}

    def marker(self, size: float = 10) -> dict[str, Any]:
        """Return Plotly's `marker`."""
        return {
            "symbol": self.symbol,
            "size": size,
            "color": "$card" if self.open else self.color,
            "line": {"color": self.color, "width": 2},
        }


def method_looks(results: ComparisonResults) -> dict[str, Look]:
    """Return the look of every method by its key."""
    return {key: _look(style) for key, style in method_styles(results).items()}


def _look(style: Style) -> Look:
    dash = _DASHES.get(style.dashes, "longdashdot") if isinstance(style.dashes, str) else "longdashdot"
    return Look(COLORS.index(style.color), _SYMBOLS[style.marker], dash, style.face == "white")


def plain_text(text: str) -> str:
    """Keep Plotly from reading a name as its pseudo-HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
