"""Reports: numbers -> tables, figures, overlays, one HTML page that works offline.

In: `RunResults`, run directories, arrays. Out: text, pictures, `report.html`. Works without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segood.reporting.colors import colorize
    from segood.reporting.figures import write_figures, write_proxy_frequencies
    from segood.reporting.overlays import draw_overlay
    from segood.reporting.page import build_report
    from segood.reporting.pictures import encode_webp, save_picture
    from segood.reporting.tables import format_table, to_markdown

_HOMES = {
    "build_report": "page",
    "colorize": "colors",
    "draw_overlay": "overlays",
    "encode_webp": "pictures",
    "format_table": "tables",
    "save_picture": "pictures",
    "to_markdown": "tables",
    "write_figures": "figures",
    "write_proxy_frequencies": "figures",
}

__all__ = [
    "build_report",
    "colorize",
    "draw_overlay",
    "encode_webp",
    "format_table",
    "save_picture",
    "to_markdown",
    "write_figures",
    "write_proxy_frequencies",
]


def __getattr__(name: str) -> Any:
    """Import on first use: tables need no Matplotlib, overlays no Jinja2."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"segood.reporting.{_HOMES[name]}"), name)
