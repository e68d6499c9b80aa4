"""Reports: numbers -> tables, figures, overlays, one HTML page that works offline.

In: `RunResults`, run directories, arrays. Out: text, pictures, `report.html`. Works without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.reporting.any_report import build_any_report as build_any_report
    from segood.reporting.any_report import write_any_figures as write_any_figures
    from segood.reporting.colors import colorize as colorize
    from segood.reporting.comparison.figures import write_comparison_figures as write_comparison_figures
    from segood.reporting.comparison.page import build_comparison_report as build_comparison_report
    from segood.reporting.comparison.table_csv import comparison_csv as comparison_csv
    from segood.reporting.comparison.table_latex import comparison_latex as comparison_latex
    from segood.reporting.comparison.table_markdown import comparison_markdown as comparison_markdown
    from segood.reporting.comparison.tables import format_comparison as format_comparison
    from segood.reporting.comparison.tables import write_comparison_tables as write_comparison_tables
    from segood.reporting.figures import write_figures as write_figures
    from segood.reporting.overlays import draw_overlay as draw_overlay
    from segood.reporting.page import build_report as build_report
    from segood.reporting.pictures import encode_webp as encode_webp
    from segood.reporting.pictures import save_picture as save_picture
    from segood.reporting.tables import format_table as format_table
    from segood.reporting.tables import to_markdown as to_markdown

_HOMES = {
    "build_any_report": "any_report",
    "build_comparison_report": "comparison.page",
    "build_report": "page",
    "colorize": "colors",
    "comparison_csv": "comparison.table_csv",
    "comparison_latex": "comparison.table_latex",
    "comparison_markdown": "comparison.table_markdown",
    "draw_overlay": "overlays",
    "encode_webp": "pictures",
    "format_comparison": "comparison.tables",
    "format_table": "tables",
    "save_picture": "pictures",
    "to_markdown": "tables",
    "write_any_figures": "any_report",
    "write_comparison_figures": "comparison.figures",
    "write_comparison_tables": "comparison.tables",
    "write_figures": "figures",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
