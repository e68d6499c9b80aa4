"""One self-contained HTML page per comparison: methods side by side, in numbers, charts and pictures.

In: the folder of a comparison. Out: `report.html`, which needs no network, no server and no build step. Names
from outside are escaped by the template, and once more where Plotly would read them as markup.
"""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from segood.evaluation.comparison.results import ComparisonResults, MethodInfo
from segood.files import write_text
from segood.reporting import colors, formats
from segood.reporting.comparison.blocks import interval_words, method_label, methods_by_network, network_title
from segood.reporting.comparison.columns import COLUMNS
from segood.reporting.comparison.figures import RESULTS
from segood.reporting.comparison.footnotes import notes
from segood.reporting.comparison.inputs import ComparisonParts, read_comparison
from segood.reporting.comparison.page_charts import add_charts
from segood.reporting.comparison.page_cost import cost_rows
from segood.reporting.comparison.page_data import comparison_data
from segood.reporting.comparison.page_gallery import compared_gallery
from segood.reporting.comparison.page_style import method_looks
from segood.reporting.comparison.page_table import table_views
from segood.reporting.comparison.page_words import comparison_headline, comparison_outcome, comparison_tiles
from segood.reporting.comparison.sections import PAIR_METRICS, comparison_sections
from segood.reporting.comparison.style import main_methods, score_key
from segood.reporting.page_template import plotly_script, render_page, template_text

PAGE = "report.html"
_OVERLAY_COLORS = ("HIT", "FALSE_ALARM", "MISSED")
_STYLES = ("report.css", "comparison.css")
_SCRIPTS = (
    "comparison_charts.js",
    "comparison_table.js",
    "comparison_pairs.js",
    "comparison_gallery.js",
    "comparison.js",
)


def build_comparison_report(folder: str | Path) -> Path:
    """Write `report.html` into the folder of a comparison.

    What is missing there is left out or stated on the page.

    Args:
        folder: that `segood compare` wrote, or one with the `results.json` of `segood evaluate --scores`.

    Returns:
        Path of the page, written atomically.

    Raises:
        DataError: no such folder, an interrupted comparison, results of another format.
        OutputError: the page cannot be written.
        UsageError: the libraries for reports are not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ComparisonResults("c", "", "", 0, "0", None, "", [], [], []).save(Path(folder) / RESULTS)
        ...     build_comparison_report(folder).name
        'report.html'
    """
    parts = read_comparison(folder)
    context = _context(parts)
    context |= {
        "plotly": plotly_script() if context["charts"] else "",
        "style": template_text(*_STYLES),
        "script": template_text(*_SCRIPTS),
    }
    write_text(parts.folder / PAGE, render_page("comparison.html", context))
    return parts.folder / PAGE


def _context(parts: ComparisonParts) -> dict[str, Any]:
    results = parts.results
    charts: dict[str, Any] = {}
    places = add_charts(results, charts)
    sections = comparison_sections(results)
    main = main_methods(results)
    gallery, tables = compared_gallery(parts), table_views(results)
    return {
        "results": results,
        "external": parts.external,
        "missing": parts.missing,
        "headline": comparison_headline(results),
        "outcome": comparison_outcome(results),
        "tiles": comparison_tiles(results),
        "intervals": interval_words(results),
        "methods": {method.key: at for at, method in enumerate(results.methods)},
        "labels": {method.key: method_label(results, method.key) for method in results.methods},
        "looks": method_looks(results),
        "networks": [(key, network_title(results, key), ms) for key, ms in methods_by_network(results)],
        "networks_by_key": {key: network_title(results, key) for key, _ in methods_by_network(results)},
        "scores": _scores(results),
        "said": {method.key: _said(method) for method in results.methods},
        "main_methods": [method.key for method in main],
        "main_score": main[0].title if main else "",
        "tables": tables,
        "groups": dict.fromkeys((key, title) for table in tables for key, title, _ in table.heads),
        "pairable": _pairable(results),
        "notes": notes(results),
        "pair_sections": [one for one in sections if ", paired: " in one.title],
        "meta_sections": [one for one in sections if one.title.startswith("Meta classif")],
        "places": places,
        "cost": cost_rows(results),
        "gallery": gallery,
        "pictured": _pictured(results, [key for key, _ in gallery.networks]),
        "charts": charts,
        "data": comparison_data(results),
        "config": yaml.safe_dump(results.config, sort_keys=False, allow_unicode=True)
        if results.config
        else "",
        "environment": _versions(results.environment),
        "verify": ""
        if parts.external
        else f"segood compare --verify {shlex.quote(str(parts.folder / RESULTS))}",
        "gradient": colors.css_gradient(),
        "c": {name.lower(): colors.css_color(getattr(colors, name)) for name in _OVERLAY_COLORS},
        "f": formats,
    }


def _pairable(results: ComparisonResults) -> bool:
    """Tell whether two methods have a number on one data set that can be compared."""
    columns = [column for column in COLUMNS if column.key in PAIR_METRICS]
    counts = Counter(
        (row.dataset, column.key)
        for row in results.rows
        for column in columns
        if column.number(row).value is not None
    )
    return max(counts.values(), default=0) > 1


def _scores(results: ComparisonResults) -> list[tuple[str, list[MethodInfo]]]:
    """Return (score's title, its methods), in the order of the results."""
    groups: dict[str, list[MethodInfo]] = {}
    for method in results.methods:
        groups.setdefault(score_key(method), []).append(method)
    return [(members[0].title, members) for members in groups.values()]


def _said(method: MethodInfo) -> str:
    """Return options and notes of a method, options that a note names already only once."""
    options = ", ".join(f"{name} {value}" for name, value in method.options.items())
    parts = [] if any(note.startswith(options) for note in method.notes) else [options]
    parts += [*method.notes, f"not measured: {method.undefined}" if method.undefined else ""]
    return "; ".join(part for part in parts if part)


def _pictured(results: ComparisonResults, networks: list[str]) -> tuple[str, str] | None:
    """Return the networks that the gallery shows first: the baseline and that of the main method."""
    if not networks:
        return None
    main = next((m.network for m in results.methods if m.key == results.main), None)
    right = main if main in networks else networks[-1]
    others = [key for key in networks if key != right]
    left = results.baseline if results.baseline in others else next(iter(others), right)
    return str(left), str(right)


def _versions(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return nested facts as (name, value) lines; the command has a place of its own."""
    lines: list[tuple[str, str]] = []
    for key, value in environment.items():
        if isinstance(value, dict):
            lines += _versions(value)
        elif key not in ("command", "created"):
            lines.append((key, str(value)))
    return lines
