"""The outcome of a run in one sentence and a few tiles, written from its numbers alone.

In: `RunResults`. Out: plain text. The words follow the numbers: what got worse is called worse.
"""

from __future__ import annotations

from dataclasses import dataclass

from segood.evaluation.results import ModelInfo, RunResults
from segood.reporting.blocks import closed_set_blocks, model_pair, pixel_blocks, segment_blocks
from segood.reporting.formats import count, join_words, metric, relative, signed


@dataclass(frozen=True)
class Tile:
    """One headline number: what, where, first and last value, the change, and whether it is better."""

    label: str
    place: str
    before: str | None
    after: str
    change: str | None
    better: bool | None


def headline(results: RunResults) -> str:
    """Return the title of a run's page: what was compared; the run's name where that is unknown.

    Example:
        >>> from segood.evaluation.results import ModelInfo
        >>> models = [ModelInfo(k, f"{k} fine-tuning", "", []) for k in ("before", "after")]
        >>> headline(RunResults("r", "", "", 0, "0", models, []))
        'Unknown objects, before and after fine-tuning'
        >>> headline(RunResults("r", "", "", 0, "0", models[:1], []))
        'Unknown objects, before fine-tuning'
    """
    titles = [model.title for model in results.models]
    if not titles:
        return results.name
    if len(titles) == 2 and titles[0].split(" ", 1)[1:] == titles[1].split(" ", 1)[1:] != []:
        titles[0] = titles[0].split(" ", 1)[0]  # before and after X, with and without X
    return f"Unknown objects, {join_words(titles)}"


def outcome(results: RunResults) -> str:
    """Return what came out, as one sentence.

    Example:
        >>> outcome(RunResults("r", "", "", 0, "0", [], []))
        'This run holds no results yet.'
    """
    clauses = [
        clause
        for clause in (_pixel_clause(results), _segment_clause(results), _closed_clause(results))
        if clause
    ]
    if not clauses:
        return "This run holds no results yet."
    text = "; ".join(clauses)
    text = text.replace(" → ", "\u00a0→\u00a0").replace(" %", "\u00a0%")  # a value never breaks over lines
    return text[0].upper() + text[1:] + "."


def tiles(results: RunResults) -> list[Tile]:
    """Return the headline numbers: average precision and segment errors per data set, mIoU."""
    found = []
    for block in pixel_blocks(results):
        defined = [item.average_precision for _, item in block.rows]
        change = block.average_precision
        found.append(
            Tile(
                "Average precision",
                block.dataset.title + ("" if block.score == "entropy" else f" · {block.score}"),
                metric(defined[0]) if change else None,
                metric(defined[-1]),
                signed(change.value) if change and change.value is not None else None,
                change.better if change else None,
            )
        )
    for block_ in segment_blocks(results):
        if block_.system is None:
            continue
        start, end = block_.system
        found.append(
            Tile(
                "Segment errors",
                f"{block_.dataset.title}, with meta classifier",
                count(start.errors),
                count(end.errors),
                relative(start.errors, end.errors),
                None if start.errors == end.errors else end.errors < start.errors,
            )
        )
    for closed in closed_set_blocks(results):
        change = closed.miou
        values = [item.miou for _, item in closed.rows]
        found.append(
            Tile(
                "mIoU, original task",
                closed.dataset.title,
                metric(values[0]) if change else None,
                metric(values[-1]),
                signed(change.value) if change and change.value is not None else None,
                change.better if change else None,
            )
        )
    return found


def _pixel_clause(results: RunResults) -> str:
    pair = model_pair(results)
    blocks = pixel_blocks(results)
    if pair is None:
        parts = [
            f"{model.title} reaches {metric(item.average_precision)} on {block.dataset.title}"
            for block in blocks
            for model, item in block.rows
            if item.average_precision is not None
        ]
        return "in average precision, " + join_words(parts) if parts else ""
    groups: dict[str, list[str]] = {"higher": [], "lower": [], "the same": []}
    for block in blocks:
        change = block.average_precision
        if change is None or change.value is None:
            continue
        word = {True: "higher", False: "lower", None: "the same"}[change.better]
        by_model = {model.key: item.average_precision for model, item in block.rows}
        values = f"{metric(by_model[pair[0].key])} → {metric(by_model[pair[1].key])}"
        groups[word].append(f"{block.dataset.title} ({values})")
    said = {word: join_words(places) for word, places in groups.items() if places}
    if not said:
        return ""
    adverbs = {
        "higher": ("more reliably", "than"),
        "lower": ("less reliably", "than"),
        "the same": ("as reliably", "as"),
    }
    parts = []
    for word, places in said.items():
        adverb, than = adverbs[word]
        parts.append(f"{adverb}{'' if parts else f' {than} {_when(pair[0])}'} on {places}")
    text = f"{_when(pair[1])}, unknown objects are found {' but '.join(parts)}"
    return text + " in average precision"


def _when(model: ModelInfo) -> str:
    """Return the model's title so that a sentence can start with it: `after training`, `with ResNet`."""
    return (
        model.title
        if model.title.split(" ")[0] in ("before", "after", "with", "without")
        else f"with {model.title}"
    )


def _segment_clause(results: RunResults) -> str:
    pair = model_pair(results)
    last = pair[1].key if pair else (results.models[-1].key if results.models else None)
    items = [
        s for s in results.segment if s.model == last and s.meta is not None and s.meta.after is not None
    ]
    if not items:
        return ""
    start = sum(item.before_meta.errors for item in items)
    end = sum(
        item.meta.after.errors for item in items if item.meta is not None and item.meta.after is not None
    )
    verb = "cuts" if end < start else "raises" if end > start else "leaves"
    kind = "segment errors (false alarms plus missed objects)"
    if end == start:
        return f"the meta classifier leaves {kind} at {count(start)}"
    return f"the meta classifier {verb} {kind} from {count(start)} to {count(end)} ({relative(start, end)})"


def _closed_clause(results: RunResults) -> str:
    pair = model_pair(results)
    parts = []
    for block in closed_set_blocks(results):
        if pair is None or block.miou is None or block.miou.value is None:
            continue
        by_model = {model.key: item for model, item in block.rows}
        values = f"{metric(by_model[pair[0].key].miou)} → {metric(by_model[pair[1].key].miou)}"
        verb = {True: "gains", False: "loses", None: "keeps its"}[block.miou.better]
        amount = f" {metric(abs(block.miou.value))} of" if block.miou.better is not None else ""
        parts.append(f"the original task {verb}{amount} mIoU on {block.dataset.title} ({values})")
    return "; ".join(parts)
