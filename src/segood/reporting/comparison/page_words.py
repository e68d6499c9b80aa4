"""The first screen of a comparison's page: headline, outcome in a sentence, tiles.

In: `ComparisonResults`. Out: words. Nothing is said that the records do not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, Pair
from segood.reporting.comparison.blocks import method_label, row_or_empty
from segood.reporting.comparison.columns import COLUMNS, Column, short_interval
from segood.reporting.comparison.style import main_methods
from segood.reporting.formats import join_words

MAX_TILES = 6
_TILES = {"average_precision": "Highest AP", "errors": "Fewest errors"}


@dataclass(frozen=True)
class ComparisonTile:
    """The best number of a column on a data set, and whose it is."""

    label: str
    value: str
    interval: str
    place: str
    method: str


def comparison_headline(results: ComparisonResults) -> str:
    """Return what was compared, in one line.

    Example:
        >>> comparison_headline(ComparisonResults("c", "", "", 0, "0", None, "", [], [], []))
        '0 methods on 0 test sets'
    """
    return f"{_number(len(results.methods), 'method')} on {_number(len(results.datasets), 'test set')}"


def comparison_outcome(results: ComparisonResults) -> str:
    """Return whether the main method beats its score on the baseline network, as far as pairs were drawn."""
    measured = {row.method for row in results.rows if not row.undefined}
    without = [m for m in results.methods if m.key not in measured]
    words = [_against_baseline(results)]
    if without:
        names = join_words([method_label(results, method.key) for method in without[:3]])
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        words.append(f"Not measured: {names}{more}; the reasons are below the tables.")
    return " ".join(word for word in words if word) or "Which of them finds the unknown, and where?"


def comparison_tiles(results: ComparisonResults) -> list[ComparisonTile]:
    """Return the best of AP and errors per data set, at most `MAX_TILES`; undefined ones are left out."""
    columns = [column for column in COLUMNS if column.key in _TILES]
    tiles = [_tile(results, dataset, column) for column in columns for dataset in results.datasets]
    return [tile for tile in tiles if tile is not None][:MAX_TILES]


def _tile(results: ComparisonResults, dataset: ComparedDataset, column: Column) -> ComparisonTile | None:
    rows = [row_or_empty(results, method, dataset.info.key) for method in results.methods]
    numbers = [(row, column.number(row)) for row in rows]
    known = [(number.value, row, number) for row, number in numbers if number.value is not None]
    if not known:
        return None
    top = (max if column.up else min)(value for value, _, _ in known)
    winners = [(row, number) for value, row, number in known if value == top]
    row, number = winners[0]
    others = f" and {len(winners) - 1} more" if len(winners) > 1 else ""
    return ComparisonTile(
        _TILES[column.key],
        column.text(number.value),
        short_interval(column, number),
        dataset.info.title,
        method_label(results, row.method) + others,
    )


def _against_baseline(results: ComparisonResults) -> str:
    before = next((m for m in main_methods(results) if m.network == results.baseline), None)
    pairs = [
        pair
        for pair in results.pairs
        if before is not None
        and (pair.a, pair.b, pair.metric) == (results.main, before.key, "average_precision")
        and pair.difference.value is not None
    ]
    if before is None or not pairs:
        return ""
    higher = [pair for pair in pairs if (pair.difference.value or 0) > 0]
    clear = [pair for pair in higher if _is_clear(pair)]
    return (
        f"{method_label(results, results.main)}, has a higher AP than {method_label(results, before.key)}, "
        f"on {len(higher)} of {_number(len(pairs), 'test set')}; on {len(clear)} of them the interval of the "
        "paired difference lies above zero."
    )


def _is_clear(pair: Pair) -> bool:
    return pair.difference.low is not None and pair.difference.low > 0


def _number(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
