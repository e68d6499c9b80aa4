"""How methods look in the figures of a comparison: the colour and marker say the score, the line the network.

In: `ComparisonResults`. Out: a `Style` per method. Colours are those of Okabe and Ito, told apart with any
colour vision (https://jfly.uni-koeln.de/color/); markers and lines repeat what colours say, for grey prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segood.evaluation.comparison.results import ComparisonResults, MethodInfo
from segood.reporting.comparison.blocks import methods_by_network

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c8c8c", "#8a7d00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
_THIN = "PX*"
_LINES: tuple[Any, ...] = ("-", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
_BASELINE = "--"


@dataclass(frozen=True)
class Style:
    """Colour, marker, dashes, and the fill of the marker (white for the baseline network)."""

    color: str
    marker: str
    dashes: Any
    face: str

    def line(self, **more: Any) -> dict[str, Any]:
        """Return the keywords of `Axes.plot` for a line with markers."""
        return {"color": self.color, "ls": self.dashes, "lw": 1.1, **self.dot(ms=3.2), **more}

    def dot(self, ms: float, mew: float = 0.8) -> dict[str, Any]:
        """Return the keywords of `Axes.plot` for the marker alone."""
        ms *= 1.35 if self.marker in _THIN else 1.0  # else a white face would not be seen
        return {"marker": self.marker, "ms": ms, "mfc": self.face, "mec": self.color, "mew": mew}


def score_key(method: MethodInfo) -> str:
    """Return the part of the method's key that says the score."""
    return method.key.removeprefix(f"{method.network}/")


def method_styles(results: ComparisonResults) -> dict[str, Style]:
    """Return the style of every method by its key; more than nine scores repeat colours, not markers."""
    scores = list(dict.fromkeys(score_key(method) for method in results.methods))
    dashes = network_dashes(results)
    styles = {}
    for method in results.methods:
        at = scores.index(score_key(method))
        color = COLORS[at % len(COLORS)]
        face = "white" if dashes[method.network] == _BASELINE else color
        styles[method.key] = Style(color, MARKERS[at % len(MARKERS)], dashes[method.network], face)
    return styles


def network_dashes(results: ComparisonResults) -> dict[str, Any]:
    """Return the line style of every network: dashed for the baseline, solid for the last one."""
    networks = [key for key, _ in methods_by_network(results)]
    others = [key for key in networks if key != results.baseline or len(networks) == 1]
    dashes: dict[str, Any] = {key: _LINES[i % len(_LINES)] for i, key in enumerate(reversed(others))}
    return {key: dashes.get(key, _BASELINE) for key in networks}


def main_methods(results: ComparisonResults) -> list[MethodInfo]:
    """Return the methods with the main score, one per network, in the order of the networks."""
    main = next((method for method in results.methods if method.key == results.main), None)
    if main is None:
        return []
    return [m for _, ms in methods_by_network(results) for m in ms if score_key(m) == score_key(main)]
