"""One way to make a figure for print: SVG, PDF and PNG, with the numbers behind it as CSV.

In: a size, a function that draws, the numbers drawn. Out: four files with one stem, the same bytes for the
same numbers. Matplotlib is used through `Figure` objects only: no pyplot, no display needed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.errors import UsageError
from segood.files import write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = "figures"
FORMATS = ("svg", "pdf", "png")
COLUMN, PAGE = 3.5, 7.0
"""Widths in inches of one text column and of a page, at which text is 7 to 9 pt."""
GRID, MUTED = "#dddddd", "#5f6b76"
IN_DISTRIBUTION, OUT_OF_DISTRIBUTION = "#2a7f9e", "#d9730d"

# Without dates and random names two files differ only where their numbers do; 42 embeds whole fonts.
_METADATA: dict[str, dict[str, Any] | None] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": None,
}
_RC: Any = {
    "svg.hashsalt": "segood", "pdf.fonttype": 42, "font.size": 8, "axes.labelsize": 8, "axes.titlesize": 9,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.title_fontsize": 7,
    "legend.frameon": False, "axes.titlelocation": "left",
}  # fmt: skip


@dataclass(frozen=True)
class Numbers:
    """What a figure shows, as a table: names of the columns, and the rows."""

    header: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def write_figure(
    stem: Path, size: tuple[float, float], draw: Callable[[Figure], None], numbers: Numbers
) -> list[Path]:
    """Draw a figure and write it in all formats, each file atomically.

    Args:
        stem: path without suffix; spaces become `_`.
        size: width and height in inches.
        draw: fills an empty figure.
        numbers: what it shows.

    Returns:
        The paths of SVG, PDF, PNG and CSV, in this order.

    Raises:
        OutputError: a file cannot be written.
        UsageError: Matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> def draw(figure):
        ...     axes_of(figure).plot([0, 1], [0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     numbers = Numbers(("x", "y"), [(0, 0), (1, 1)])
        ...     paths = write_figure(Path(folder) / "line", (2, 2), draw, numbers)
        ...     [path.name for path in paths], paths[-1].read_text().split()
        (['line.svg', 'line.pdf', 'line.png', 'line.csv'], ['x,y', '0,0', '1,1'])
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            f"figures need {error.name}; install it with `pip install 'segood[report]'`"
        ) from error
    name = stem.name.replace(" ", "_")
    paths = [stem.with_name(f"{name}.{suffix}") for suffix in FORMATS]
    with rc_context(_RC):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        for path, suffix in zip(paths, FORMATS, strict=True):
            content = io.BytesIO()
            figure.savefig(content, format=suffix, dpi=200, metadata=_METADATA[suffix])
            write_bytes(path, content.getvalue())
    return [*paths, write_numbers(stem.with_name(f"{name}.csv"), numbers)]


def write_numbers(path: Path, numbers: Numbers) -> Path:
    """Write a table as CSV, atomically, floats with every digit; return `path`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([numbers.header, *numbers.rows])
    write_text(path, text.getvalue())
    return path


def axes_of(figure: Figure, title: str = "", *position: Any) -> Axes:
    """Add axes as all figures have them: no frame above and to the right, a light grid behind."""
    axes = figure.add_subplot(*position)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, lw=0.5)
    axes.set_axisbelow(True)
    if title:
        axes.set_title(wrapped(title, 46))
    return axes


def plain(text: str) -> str:
    r"""Return a name so that Matplotlib shows it as it is: `$` is no mathematics, a leading `_` no secret.

    Example:
        >>> print(plain("_cost $"))
         _cost \$
    """
    text = " ".join(text.split()).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def wrapped(text: str, width: int) -> str:
    """Return `plain(text)` over several lines of at most `width` characters."""
    import textwrap

    return "\n".join(textwrap.wrap(plain(text), width)) or plain(text)


def curve_rows(
    names: Sequence[str], x: Sequence[float], y: Sequence[float], t: Sequence[float]
) -> list[tuple]:
    """Return the points of a curve as rows that begin with `names`."""
    return [(*names, *point) for point in zip(x, y, t, strict=True)]
