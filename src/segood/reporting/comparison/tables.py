"""A comparison as aligned text for the terminal, and all its tables as files.

In: `ComparisonResults`. Out: a string; `table.md`, `table.tex`, `table.csv`. Every table carries the protocol
it was measured under, every undefined cell has its reason below.
"""

from __future__ import annotations

from pathlib import Path

from segood.evaluation.comparison.results import ComparisonResults
from segood.files import write_text
from segood.reporting.comparison.blocks import DatasetBlock, comparison_blocks
from segood.reporting.comparison.columns import NO_VALUES, Column
from segood.reporting.comparison.footnotes import notes, reasons
from segood.reporting.comparison.sections import Section, comparison_sections
from segood.reporting.comparison.table_csv import comparison_csv
from segood.reporting.comparison.table_latex import comparison_latex
from segood.reporting.comparison.table_markdown import comparison_markdown
from segood.reporting.formats import MISSING

__all__ = ["comparison_csv", "comparison_latex", "comparison_markdown", "format_comparison",
           "write_comparison_tables"]  # fmt: skip


def format_comparison(results: ComparisonResults) -> str:
    """Return a comparison as aligned plain text.

    Args:
        results: numbers of one comparison; those of external score maps have fewer columns.

    Returns:
        Per data set its protocol and one row per method, grouped by network, `*` at the best of each
        column; then, where they exist, the original task, paired tests, meta classification, transfers,
        the reasons for undefined cells (`–`) and notes. "No results." where there are no data sets.

    Raises:
        Nothing: whatever is missing is shown as `–`.

    Example:
        >>> from segood.evaluation.comparison.results import ComparedDataset, MethodInfo, Number, Row
        >>> from segood.evaluation.results import DatasetInfo, ModelInfo
        >>> info = DatasetInfo("d", "Obstacles", "smiyc", 5, 4, "label", "")
        >>> scores = [MethodInfo(f"net/{name}", name, "net", name) for name in ("entropy", "msp")]
        >>> rows = [Row(m.key, "d", auroc=Number(v)) for m, v in zip(scores, (0.9, 0.8))]
        >>> results = ComparisonResults(
        ...     "c", "", "", 0, "0", None, "net/entropy", [ModelInfo("net", "ESPNetv2", "", [])], scores,
        ...     [ComparedDataset(info, "1024x512", "road", 50, 10)], rows)
        >>> print(format_comparison(results))
        Obstacles
          protocol: smiyc; resolution: label; network input: 1024x512; region of interest: road
          images: 5, 4 with OoD pixels
          intervals: none (no bootstrap draws), seed 0
                  AUROC
                      ↑
        ────────────────
        ESPNetv2
          entropy 0.900*
          msp     0.800
          * best of its column
    """
    parts = [_text_block(block) for block in comparison_blocks(results)]
    parts += [_text_section(section) for section in comparison_sections(results)]
    parts += ["\n".join(f"{MISSING} {line}" for line in reasons(results))]
    parts += ["\n".join(["Notes", *(f"  {line}" for line in notes(results))]) if notes(results) else ""]
    return "\n\n".join(part for part in parts if part) or "No results."


def write_comparison_tables(results: ComparisonResults, folder: str | Path) -> list[Path]:
    """Write `table.md`, `table.tex` and `table.csv`, each atomically.

    Args:
        results: numbers of one comparison.
        folder: where to; created if missing.

    Returns:
        The three paths, in this order.

    Raises:
        OutputError: a file cannot be written.

    Example:
        >>> import tempfile
        >>> empty = ComparisonResults("c", "", "", 0, "0", None, "", [], [], [])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_comparison_tables(empty, folder)]
        ['table.md', 'table.tex', 'table.csv']
    """
    texts = {
        "table.md": comparison_markdown(results),
        "table.tex": comparison_latex(results),
        "table.csv": comparison_csv(results),
    }
    paths = []
    for name, text in texts.items():
        write_text(Path(folder) / name, text)
        paths.append(Path(folder) / name)
    return paths


def _text_block(block: DatasetBlock) -> str:
    lines = [block.title, *(f"  {line}" for line in block.protocol)]
    if not block.columns:
        return "\n".join([*lines, f"  {NO_VALUES}"])
    position, rows = 0, []
    for network, members in block.groups:
        rows.append([network])
        for label, row in members:
            cells = [c.text(c.number(row).value) for c in block.columns]
            marks = ["*" if position in where else " " for where in block.best]
            rows.append([f"  {label}", *(c + m for c, m in zip(cells, marks, strict=True))])
            position += 1
    heads = [_text_head(column) for column in block.columns]
    table = [["", *(first for first, _ in heads)], ["", *(second for _, second in heads)], *rows]
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(len(heads) + 1)]
    shown = [
        " ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=False))])
        for row in table
    ]
    shown.insert(2, "─" * (sum(widths) + len(widths) - 1))
    legend = ["  * best of its column"] if any(block.best) else []
    legend += [f"  {line}" for line in block.legend]
    return "\n".join([*lines, *(line.rstrip() for line in shown), *legend])


def _text_head(column: Column) -> tuple[str, str]:
    """Return two short lines: terminals are narrow."""
    first, _, second = column.title.replace("/frame", "/, frame").partition(", ")
    return f"{first} ", f"{second} {'↑' if column.up else '↓'} ".lstrip()


def _text_section(section: Section) -> str:
    table = [section.header, *section.rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(section.header))]
    lines = [
        "  ".join(
            c.ljust(w) if i < section.num_left else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.insert(1, "  ".join("─" * w for w in widths))
    return "\n".join([section.title, *lines, *(f"  {note}" for note in section.notes)])
