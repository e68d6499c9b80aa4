"""Results as text: aligned for the terminal, Markdown for READMEs.

In: `RunResults`. Out: strings; every row carries its sample counts, every block its protocol.
"""

from __future__ import annotations

from segood.evaluation.results import RunResults
from segood.reporting.blocks import (
    ClosedSetBlock,
    PixelBlock,
    SegmentBlock,
    closed_set_blocks,
    pixel_blocks,
    segment_blocks,
)
from segood.reporting.formats import MISSING, count, metric, percent, points, relative, signed

Row = list[str]


def format_table(results: RunResults) -> str:
    """Return the tables of a run as aligned plain text.

    Args:
        results: numbers of one run.

    Returns:
        Pixel level, segment level and original task, in this order, those that exist; `–` is an
        undefined value, with the reason below its table; "No results." where there are none.

    Example:
        >>> from segood.evaluation.results import ClosedSetResult, ModelInfo
        >>> models = [ModelInfo("after", "after training", "espnetv2", ["road"])]
        >>> closed = [ClosedSetResult("after", "streets", 2, 900, 0.5, {"road": 0.5}, 0.01, 0.7)]
        >>> print(format_table(RunResults("r", "", "", 0, "0", models, [], closed_set=closed)))
        Original task
        data set  model           mIoU ↑  flagged ↓  images
        ────────  ──────────────  ──────  ─────────  ──────
        streets   after training   0.500     1.00 %       2
          flagged = share of labelled pixels with score ≥ 0.7
    """
    sections = []
    for title, header, rows, notes in _sections(results):
        sections.append("\n".join([title, *aligned(header, rows), *(f"  {note}" for note in notes)]))
    return "\n\n".join(sections) if sections else "No results."


def to_markdown(results: RunResults) -> str:
    """Return the tables of a run as GitHub Markdown.

    Args:
        results: numbers of one run.

    Returns:
        The tables of `format_table`, in the same order, ending in a line break; `|` in names is escaped.

    Example:
        >>> from segood.evaluation.results import ClosedSetResult, ModelInfo
        >>> models = [ModelInfo("after", "after training", "espnetv2", ["road"])]
        >>> closed = [ClosedSetResult("after", "streets", 2, 900, 0.5, {"road": 0.5}, 0.01, 0.7)]
        >>> text = to_markdown(RunResults("r", "", "", 0, "0", models, [], closed_set=closed))
        >>> text.splitlines()[-3]
        '| streets | after training | 0.500 | 1.00 % | 2 |'
    """
    sections = []
    for title, header, rows, notes in _sections(results):
        lines = [f"**{title}**", "", _pipe(header), "|---|---|" + "---:|" * (len(header) - 2)]
        lines += [_pipe(row) for row in rows]
        if notes:
            lines += ["", *(f"{note}  " for note in notes)]
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n" if sections else "No results.\n"


def _sections(results: RunResults) -> list[tuple[str, Row, list[Row], list[str]]]:
    found: list[tuple[str, Row, list[Row], list[str]]] = []
    pixel, segment, closed = pixel_blocks(results), segment_blocks(results), closed_set_blocks(results)
    if pixel:
        header = ["data set", "model", "AUROC ↑", "AP ↑", "FPR95 ↓", "pixels in", "pixels OoD", "images"]
        rows = [row for block in pixel for row in _pixel_rows(block)]
        notes = [
            f"{b.dataset.title}: {_protocol(b.dataset.protocol, b.dataset.resolution)}; score {b.score}"
            for b in pixel
        ]
        notes += [
            f"{MISSING} {block.dataset.title}, {model.title}: {item.undefined}"
            for block in pixel
            for model, item in block.rows
            if item.undefined
        ]
        notes += [
            f"{block.dataset.title}, {model.title}: {warning}"
            for block in pixel
            for model, item in block.rows
            for warning in item.warnings
        ]
        found.append(("Pixel level", header, rows, notes))
    if segment:
        header = ["data set", "model", "FP", "FN", "errors", "FP meta", "FN meta", "errors meta", "change"]
        rows = [row for block in segment for row in _segment_rows(block)]
        notes = [
            f"{b.dataset.title}: {count(b.num_ground_truth)} objects; {b.score} ≥ {b.threshold:g};"
            f" meta = after meta classification{_meta_protocol(b)}"
            for b in segment
        ]
        notes += [
            f"{MISSING} {block.dataset.title}, {model.title}: {item.meta.undefined}"
            for block in segment
            for model, item in block.rows
            if item.meta is not None and item.meta.undefined
        ]
        found.append(("Segment level", header, rows, notes))
    if closed:
        header = ["data set", "model", "mIoU ↑", "flagged ↓", "images"]
        rows = [row for block_ in closed for row in _closed_rows(block_)]
        notes = [f"flagged = share of labelled pixels with score ≥ {closed[0].rows[0][1].threshold:g}"]
        found.append(("Original task", header, rows, notes))
    return found


def _pixel_rows(block: PixelBlock) -> list[Row]:
    rows = [
        [
            block.dataset.title if i == 0 else "", model.title, metric(item.auroc),
            metric(item.average_precision), metric(item.fpr95), count(item.num_in), count(item.num_ood),
            count(block.dataset.num_images),
        ]
        for i, (model, item) in enumerate(block.rows)
    ]  # fmt: skip
    if block.auroc and block.average_precision and block.fpr95:
        changes = [signed(c.value) for c in (block.auroc, block.average_precision, block.fpr95)]
        rows.append(["", "change", *changes, "", "", ""])
    return rows


def _segment_rows(block: SegmentBlock) -> list[Row]:
    rows = []
    for i, (model, item) in enumerate(block.rows):
        start, end = item.before_meta, item.meta.after if item.meta else None
        after = (
            [count(end.false_positives), count(end.false_negatives), count(end.errors)]
            if end
            else [MISSING] * 3
        )
        rows.append(
            [
                block.dataset.title if i == 0 else "", model.title, count(start.false_positives),
                count(start.false_negatives), count(start.errors), *after,
                relative(start.errors, end.errors if end else None),
            ]
        )  # fmt: skip
    return rows


def _closed_rows(block: ClosedSetBlock) -> list[Row]:
    rows = [
        [block.dataset.title if i == 0 else "", model.title, metric(item.miou),
         percent(item.flagged_share, 2), count(item.num_images)]
        for i, (model, item) in enumerate(block.rows)
    ]  # fmt: skip
    if block.miou and block.flagged_share:
        rows.append(["", "change", signed(block.miou.value), points(block.flagged_share.value), ""])
    return rows


def _protocol(protocol: str, resolution: str) -> str:
    return f"protocol {protocol or 'unknown'}, resolution {resolution or 'unknown'}"


def _meta_protocol(block: SegmentBlock) -> str:
    metas = [item.meta for _, item in block.rows if item.meta is not None]
    protocols = sorted(
        {m.protocol for m in metas} | {m.classifier for m in metas if m.classifier != "linear"}
    )
    return f" ({', '.join(protocols)})" if protocols else ""


def aligned(header: Row, rows: list[Row]) -> list[str]:
    """Return a table as lines of text: two columns of words, then columns of numbers."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Row) -> str:
        cells = [
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(header), "  ".join("─" * w for w in widths), *map(line, rows)]


def _pipe(row: Row) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
