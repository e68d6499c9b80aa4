"""One verb for both kinds of folder: a run's report and figures, or a comparison's.

In: a folder that `segood evaluate` or `segood compare` wrote. Out: paths of what was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segood.errors import UsageError
from segood.reporting.comparison.figures import write_comparison_figures
from segood.reporting.comparison.inputs import is_comparison
from segood.reporting.comparison.page import build_comparison_report
from segood.reporting.figures import write_figures
from segood.reporting.page import build_report


def build_any_report(folder: str | Path, **run_options: Any) -> Path:
    """Write `report.html` into the folder of a run or of a comparison.

    Args:
        folder: of a run (it has `metrics.json`) or of a comparison (`results.json`).
        **run_options: of `build_report`, None where not given; a comparison takes none.

    Raises:
        DataError: neither a run nor a comparison, an interrupted comparison, results of another format.
        OutputError: the page cannot be written.
        UsageError: the libraries for reports are not installed; an option that only runs have.

    Example:
        >>> import tempfile
        >>> from segood.files import write_text
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(Path(folder) / "config.yaml", "seed: 0")  # a run that got no further
        ...     build_any_report(folder).name
        'report.html'
    """
    given = {name: value for name, value in run_options.items() if value is not None}
    if not is_comparison(folder):
        return build_report(folder, **given)
    if any(given.values()):
        names = ", ".join(f"`{name}`" for name in given)
        raise UsageError(f"{folder} is a comparison; {names} can be given for a run only")
    return build_comparison_report(folder)


def write_any_figures(folder: str | Path) -> list[Path]:
    """Write the figures for print of a run or of a comparison into its `figures/`.

    Raises:
        DataError, OutputError, UsageError: as `write_figures` and `write_comparison_figures`.
    """
    return write_comparison_figures(folder) if is_comparison(folder) else write_figures(folder)
