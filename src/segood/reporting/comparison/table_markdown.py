"""A comparison as GitHub Markdown, for READMEs.

In: `ComparisonResults`. Out: a string: a table per data set with its protocol, intervals in the cells, then
the sections that the terminal shows.
"""

from __future__ import annotations

import re

from segood.evaluation.comparison.results import ComparisonResults, Number
from segood.reporting.comparison.blocks import DatasetBlock, comparison_blocks, interval_words
from segood.reporting.comparison.columns import NO_VALUES, Column, short_interval, without_zero
from segood.reporting.comparison.footnotes import notes, reasons
from segood.reporting.comparison.sections import Section, comparison_sections


def comparison_markdown(results: ComparisonResults) -> str:
    """Return a comparison as GitHub Markdown, intervals in the cells.

    Args:
        results: numbers of one comparison.

    Returns:
        A heading with date, seed and draws, then the tables of `format_comparison` in the same order, the
        best of each column bold, the protocol below each table; ends in a line break. Names are escaped.

    Raises:
        Nothing: whatever is missing is shown as `–`.

    Example:
        >>> empty = ComparisonResults("mine|yours", "2025-01-31", "", 7, "0.1", None, "", [], [], [])
        >>> print(comparison_markdown(empty), end="")
        # mine\\|yours
        <BLANKLINE>
        2025-01-31, segood 0.1; intervals: none (no bootstrap draws), seed 7
        <BLANKLINE>
        No results.
    """
    head = f"{results.created or 'undated'}, segood {results.segood_version}; {interval_words(results)}"
    parts = [f"# {escape_markdown(results.name)}", escape_markdown(head)]
    parts += [_block(block) for block in comparison_blocks(results)]
    parts += [_section(section) for section in comparison_sections(results)]
    for title, lines in (("Undefined values", reasons(results)), ("Notes", notes(results))):
        if lines:
            parts.append("\n".join([f"## {title}", "", *(f"- {escape_markdown(line)}" for line in lines)]))
    if len(parts) == 2:
        parts.append("No results.")
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Return `text` so that GitHub shows it as it is, in tables too.

    Example:
        >>> escape_markdown("a|b <c> max_logit $x$")
        'a\\\\|b &lt;c&gt; max\\\\_logit \\\\$x\\\\$'
    """
    escaped = re.sub(r"([\\`*_\[\]|$~])", r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _block(block: DatasetBlock) -> str:
    protocol = [f"- {escape_markdown(line)}" for line in block.protocol]
    if not block.columns:
        return "\n".join([f"## {escape_markdown(block.title)}", "", NO_VALUES, "", *protocol])
    position, rows = 0, []
    for network, members in block.groups:
        for label, row in members:
            cells = [_cell(c, c.number(row)) for c in block.columns]
            bold = [position in where for where in block.best]
            cells = [f"**{c}**" if b else c for c, b in zip(cells, bold, strict=True)]
            rows.append([escape_markdown(network), escape_markdown(label), *cells])
            position += 1
    header = ["network", "score", *(f"{c.title} {'↑' if c.up else '↓'}" for c in block.columns)]
    legend = [f"- {line}" for line in block.legend]
    return "\n".join(
        [f"## {escape_markdown(block.title)}", "", *_pipes(header, rows, 2), "", *protocol, *legend]
    )


def _cell(column: Column, number: Number) -> str:
    value = without_zero(column.text(number.value))
    return " ".join(part for part in (value, short_interval(column, number)) if part)


def _section(section: Section) -> str:
    rows = [[escape_markdown(cell) for cell in row] for row in section.rows]
    lines = [f"## {escape_markdown(section.title)}", "", *_pipes(section.header, rows, section.num_left)]
    return "\n".join(
        lines + ([""] + [f"- {escape_markdown(note)}" for note in section.notes] if section.notes else [])
    )


def _pipes(header: list[str], rows: list[list[str]], num_left: int) -> list[str]:
    rule = "|" + "---|" * num_left + "---:|" * (len(header) - num_left)
    lines = ["| " + " | ".join(row) + " |" for row in [header, *rows]]
    return [lines[0], rule, *lines[1:]]
