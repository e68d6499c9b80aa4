r"""A comparison as LaTeX: one `booktabs` table per data set, intervals in small print below the values.

In: `ComparisonResults`. Out: a fragment for `\input`; its captions state protocol, number of images, seed and
interval. All names are escaped, so that it compiles with pdfLaTeX and `\usepackage{booktabs}` alone.
"""

from __future__ import annotations

import unicodedata

from segood.evaluation.comparison.results import ComparisonResults
from segood.reporting.comparison.blocks import DatasetBlock, comparison_blocks
from segood.reporting.comparison.columns import short_interval
from segood.reporting.comparison.footnotes import reasons

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "–": "--", "—": "---", "−": "$-$",
    "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≥": r"$\ge$", "≤": r"$\le$", "→": r"$\to$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "τ": r"$\tau$", "λ": r"$\lambda$", "…": r"\ldots{}",
    "\u00a0": "~",
}  # fmt: skip


def comparison_latex(results: ComparisonResults) -> str:
    r"""Return a comparison as LaTeX tables.

    Args:
        results: numbers of one comparison.

    Returns:
        One `table*` per data set, in the order of the results, the best of each column bold; a comment first
        that says what is needed. Ends in a line break.

    Raises:
        Nothing: whatever is missing is shown as a dash; characters that pdfLaTeX cannot set become `?`.

    Example:
        >>> empty = ComparisonResults("a_b", "2025-01-31", "", 0, "0.1", None, "", [], [], [])
        >>> print(comparison_latex(empty), end="")
        % a_b, 2025-01-31, segood 0.1; needs \usepackage{booktabs}
        % no results
    """
    name = " ".join(results.name.split())
    head = f"% {name}, {results.created}, segood {results.segood_version}; needs \\usepackage{{booktabs}}"
    blocks = [block for block in comparison_blocks(results) if block.columns]
    tables = [_table(block, number) for number, block in enumerate(blocks, start=1)]
    why = [f"% undefined: {' '.join(line.split())}" for line in reasons(results)]
    return "\n".join([head, *why, *(tables or ["% no results"])]) + "\n"


def escape_latex(text: str) -> str:
    r"""Return `text` so that LaTeX sets it as it is.

    Example:
        >>> print(escape_latex("50 % of max_logit & #1 ≥ 2"))
        50 \% of max\_logit \& \#1 $\ge$ 2
    """
    return "".join(_ESCAPES.get(char) or _settable(char) for char in text)


def _settable(char: str) -> str:
    if char.isspace():
        return " "
    if char.isascii():
        return char if char.isprintable() else ""
    if unicodedata.category(char).startswith("L") and ord(char) < 0x180:
        return char  # Latin letters with accents
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return "".join(_ESCAPES.get(c, c) for c in plain) or "?"


def _table(block: DatasetBlock, number: int) -> str:
    arrows = [r"$\uparrow$" if column.up else r"$\downarrow$" for column in block.columns]
    titles = [f"{escape_latex(c.title)} {a}" for c, a in zip(block.columns, arrows, strict=True)]
    lines = [
        r"\begin{table*}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        f"\\caption{{{_caption(block)}}}",
        f"\\label{{tab:comparison-{number}}}",
        f"\\begin{{tabular}}{{l{'r' * len(block.columns)}}}",
        r"\toprule",
        " & ".join(["", *titles]) + r" \\",
    ]
    position = 0
    for network, members in block.groups:
        lines += [r"\midrule", f"\\multicolumn{{{len(titles) + 1}}}{{l}}{{{escape_latex(network)}}} \\\\"]
        for label, row in members:
            numbers = [column.number(row) for column in block.columns]
            values = [escape_latex(c.text(n.value)) for c, n in zip(block.columns, numbers, strict=True)]
            bold = [position in where for where in block.best]
            cells = [f"\\textbf{{{v}}}" if b else v for v, b in zip(values, bold, strict=True)]
            lines.append(" & ".join([rf"\quad {escape_latex(label)}", *cells]) + r" \\")
            spans = [short_interval(c, n) for c, n in zip(block.columns, numbers, strict=True)]
            if any(spans):
                small = [f"{{\\tiny {escape_latex(span)}}}" if span else "" for span in spans]
                lines.append(" & ".join(["", *small]) + r" \\")
            position += 1
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}"]
    return "\n".join(lines)


def _caption(block: DatasetBlock) -> str:
    parts = [block.title, *block.protocol, *block.legend, "bold: best of its column"]
    return ". ".join(escape_latex(part) for part in parts) + "."
