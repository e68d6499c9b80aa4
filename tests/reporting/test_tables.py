"""Tables for terminal and Markdown, the outcome sentence, number formats."""

from __future__ import annotations

import dataclasses

import pytest

from segood.evaluation.results import (
    ClosedSetResult,
    DatasetInfo,
    Distribution,
    MetaResult,
    ModelInfo,
    PixelResult,
    RunResults,
    SegmentErrors,
    SegmentResult,
)
from segood.reporting import format_table, to_markdown
from segood.reporting.blocks import best, pixel_blocks
from segood.reporting.summary import headline, outcome, tiles

COUNTS = Distribution([0.0, 1.0], [1000], [10])


def pixel(model: str, ap: float | None, dataset: str = "d") -> PixelResult:
    undefined = "no OoD pixel among 1000 counted" if ap is None else None
    auroc, fpr95 = (None, None) if ap is None else (0.9, 0.25)
    return PixelResult(
        model, dataset, "entropy", 1000, 10, auroc, ap, fpr95, {}, None, None, COUNTS, undefined
    )


def segment(model: str, before: SegmentErrors, after: SegmentErrors) -> SegmentResult:
    meta = MetaResult("group", "default", 0.5, 7, 4, 0.9, 0.9, 0.8, 0.6, after, 3, 1)
    return SegmentResult(model, "d", "entropy", 0.7, 12, before, None, meta)


RESULTS = RunResults(
    name="r",
    created="",
    command="segood demo",
    seed=0,
    segood_version="0",
    models=[ModelInfo("before", "Start", "net", ["a"]), ModelInfo("after", "Tuned", "net", ["a"])],
    datasets=[DatasetInfo("d", "Obstacles", "smiyc", 5, 4, "1024x512", "h")],
    pixel=[pixel("before", 0.25), pixel("after", 0.5)],
    segment=[
        segment("before", SegmentErrors(9, 6, 4, 10), SegmentErrors(5, 2, 5, 7)),
        segment("after", SegmentErrors(9, 6, 2, 8), SegmentErrors(5, 1, 3, 4)),
    ],
    closed_set=[
        ClosedSetResult("before", "d", 5, 100, 0.7, {"a": 0.7}, 0.01, 0.7),
        ClosedSetResult("after", "d", 5, 100, 0.65, {"a": 0.65}, 0.02, 0.7),
    ],
)


def test_table_by_hand() -> None:
    lines = [" ".join(line.split()) for line in format_table(RESULTS).splitlines()]
    assert lines[0] == "Pixel level"
    assert lines[1] == "data set model AUROC ↑ AP ↑ FPR95 ↓ pixels in pixels OoD images"
    assert lines[3] == "Obstacles Start 0.900 0.250 0.250 1,000 10 5"
    assert lines[4] == "Tuned 0.900 0.500 0.250 1,000 10 5"
    assert lines[5] == "change ±0.000 +0.250 ±0.000"
    assert lines[6] == "Obstacles: protocol smiyc, resolution 1024x512; score entropy"
    assert "Obstacles Start 6 4 10 2 5 7 −30 %" in lines
    assert "Tuned 6 2 8 1 3 4 −50 %" in lines
    assert "change −0.050 +1.00 pp" in lines


def test_columns_are_aligned() -> None:
    lines = format_table(RESULTS).splitlines()
    ends = [line.index("0.900") for line in lines[3:5]]
    assert ends[0] == ends[1]
    assert max(map(len, lines)) <= 120


def test_undefined_values_are_explained() -> None:
    text = format_table(dataclasses.replace(RESULTS, pixel=[pixel("before", None), pixel("after", 0.5)]))
    assert text.splitlines()[3].split()[2:5] == ["–", "–", "–"]
    assert "– Obstacles, Start: no OoD pixel among 1000 counted" in text


def test_markdown() -> None:
    text = to_markdown(RESULTS)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "| Obstacles | Start | 0.900 | 0.250 | 0.250 | 1,000 | 10 | 5 |" in rows
    assert rows[0].count("|") == rows[1].count("|")


def test_markdown_escapes_pipes() -> None:
    named = dataclasses.replace(RESULTS, datasets=[dataclasses.replace(RESULTS.datasets[0], title="a|b")])
    assert "| a\\|b | Start |" in to_markdown(named)


def test_nothing_to_show() -> None:
    empty = RunResults("r", "", "", 0, "0", [], [])
    assert format_table(empty) == "No results."
    assert to_markdown(empty) == "No results.\n"
    assert tiles(empty) == []


def test_outcome_says_better_and_worse() -> None:
    text = outcome(RESULTS).replace("\u00a0", " ")
    assert text == (
        "With Tuned, unknown objects are found more reliably than with Start on Obstacles"
        " (0.250 → 0.500) in average precision;"
        " the meta classifier cuts segment errors (false alarms plus missed objects) from 8 to 4 (−50 %);"
        " the original task loses 0.050 of mIoU on Obstacles (0.700 → 0.650)."
    )
    worse = dataclasses.replace(
        RESULTS, pixel=[pixel("before", 0.5), pixel("after", 0.25)], segment=[], closed_set=[]
    )
    assert "less reliably" in outcome(worse)


def test_outcome_of_mixed_data_sets() -> None:
    mixed = [pixel("before", 0.5), pixel("after", 0.25), pixel("before", 0.1, "e"), pixel("after", 0.2, "e")]
    text = outcome(dataclasses.replace(RESULTS, pixel=mixed, segment=[], closed_set=[]))
    assert "found more reliably than with Start on e (0.100" in text
    assert "but less reliably on Obstacles" in text


def test_outcome_with_the_titles_of_a_run() -> None:
    models = [
        ModelInfo("before", "before fine-tuning", "net", ["a"]),
        ModelInfo("after", "after fine-tuning", "net", ["a"]),
    ]
    text = outcome(dataclasses.replace(RESULTS, models=models, segment=[], closed_set=[]))
    start = "After fine-tuning, unknown objects are found more reliably than before fine-tuning on Obstacles"
    assert text.startswith(start)


def test_tiles() -> None:
    shown = [(tile.label, tile.before, tile.after, tile.change, tile.better) for tile in tiles(RESULTS)]
    assert shown == [
        ("Average precision", "0.250", "0.500", "+0.250", True),
        ("Segment errors", "10", "4", "−60 %", True),
        ("mIoU, original task", "0.700", "0.650", "−0.050", False),
    ]


def test_three_models_have_rows_and_no_change() -> None:
    models = [ModelInfo(key, key.upper(), "net", ["a"]) for key in "xyz"]
    results = dataclasses.replace(
        RESULTS, models=models, pixel=[pixel(key, 0.1) for key in "xyz"], segment=[], closed_set=[]
    )
    (block,) = pixel_blocks(results)
    assert len(block.rows) == 3
    assert block.auroc is None
    assert "change" not in format_table(results)


def test_best_needs_a_difference() -> None:
    assert best([0.1, 0.1], up=True) == set()
    assert best([0.1, None], up=True) == set()
    assert best([0.3, 0.1, 0.1], up=False) == {1, 2}


def test_flagged_share_is_undefined_without_labelled_pixels() -> None:
    closed = [dataclasses.replace(item, flagged_share=None) for item in RESULTS.closed_set]
    results = dataclasses.replace(RESULTS, closed_set=closed)
    rows = [line.split() for line in format_table(results).splitlines()]
    last = rows[next(i for i, row in enumerate(rows) if row[:2] == ["Original", "task"]) :]
    assert last[-2][:3] == ["change", "−0.050", "–"]
    assert [row.count("–") for row in last[3:5]] == [1, 1]


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ([], "x"),
        (["Start"], "Unknown objects, Start"),
        (["Start", "End"], "Unknown objects, Start and End"),
        (["before training", "after training"], "Unknown objects, before and after training"),
        (["a", "b", "c"], "Unknown objects, a, b and c"),
    ],
)
def test_headline_says_what_was_compared(titles: list[str], expected: str) -> None:
    models = [ModelInfo(str(i), title, "net", ["a"]) for i, title in enumerate(titles)]
    assert headline(dataclasses.replace(RESULTS, name="x", models=models)) == expected
