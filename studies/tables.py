"""Rows -> the tables and figures of `docs/study.md`; nothing in them comes from anywhere else.

In: `results/*.jsonl`. Out: the page, its tables written anew between their marks, and SVG figures.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from segood.data.registry import DATASETS
from segood.files import write_text
from segood.scores import get_score
from studies.far import BASELINE, SMOOTHED
from studies.figures import Panel, Point, Sweep, Tried, draw_factors, draw_sweeps, draw_tried
from studies.measure import SETS
from studies.rows import RESULTS, Row, read_rows
from studies.small_objects import AREAS
from studies.trained import SCORES

ROOT = Path(__file__).parent.parent
PAGE, README = Path("docs/study.md"), Path("README.md")
FIGURES = Path("docs/images")
THREE = "{:.3f}"
"""Numbers between 0 and 1 are shown without their zero."""
TRIED = {
    "start": {"unknown": "before"},
    "base": {"unknown": "base"},
    "best": {"unknown": "ours", "energy": "ours, energy"},
}
"""What the second figure shows of a factor's rows, and its name; of all others the entropy, without one."""
Group = tuple[str, str, int]
"""Factor, level, epochs: what rows of several seeds have in common."""


def write_tables(root: Path = ROOT, results: Path = RESULTS) -> None:
    """Write all tables and figures of the study, those of the README among them, below a folder."""
    for page, tables in PAGES.items():
        text = (root / page).read_text()
        for name, table in tables.items():
            text = with_table(text, name, table(results))
        write_text(root / page, text)
    images = root / FIGURES
    draw_factors(factor_points(read_rows("factors", results)), images / "study_factors.svg")
    draw_tried(tried_panels(results), images / "study_tried.svg")
    draw_sweeps(sweeps(results), images / "study_errors.svg")


def with_table(text: str, name: str, table: str) -> str:
    """Return a page whose table of this name is replaced.

    Raises:
        ValueError: it has no marks of that name.

    Example:
        >>> with_table("a\\n<!-- table: t -->\\nold\\n<!-- end -->\\nb", "t", "new")
        'a\\n<!-- table: t -->\\n\\nnew\\n\\n<!-- end -->\\nb'
    """
    marks = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marks.search(text):
        raise ValueError(f"the page has no `<!-- table: {name} -->` … `<!-- end -->`")
    return marks.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)


def factor_table(results: Path) -> str:
    """Return what one change of the recipe does, on the halves that choices are made on."""
    rows = read_rows("factors", results)
    start = _start(rows)
    if start is None:
        return "Nothing measured yet."
    sets = [f"{_title(name)} AP, FPR95" for name in SETS]
    head = ["factor", "level", "seeds", *sets, "AP ×", "FPR95 ×", "mIoU"]
    lines = []
    for (factor, level, epochs), found in grouped(rows).items():
        values = [*(_pair(found, name, "tuning") for name in SETS), *_ratios(found, start)]
        cost = [100 * (row["known"]["val"]["miou"] - start["known"]["val"]["miou"]) for row in found]
        before = f"{100 * start['known']['val']['miou']:.1f} %"
        miou = before if factor == "start" else _spread(cost, "{:+.1f}")
        shown = "" if factor in ("start", "base") else factor
        lines.append([shown, _for(level, epochs), str(len(found)), *values, miou])
    return f"{_table(head, lines)}\n\n{provenance(rows)}"


def far_table(results: Path) -> str:
    """Return how far the best recipe gets from the best score before training, on each data set."""
    rows = read_rows("far", results)
    before, ours = _before_and_ours(rows)
    if not (before and ours):
        return "Nothing measured yet."
    others = {f"{_lower(SMOOTHED)} before": [before[SMOOTHED]["unknown"]]}
    others |= {f"{_lower(score)}, ours": [row[kind] for row in ours] for kind, score in SCORES.items()}
    lines = []
    for name, (half, frames) in itertools.product(SETS, {"test": "second half", "all": "all"}.items()):
        first, cells = [], {words: ["", "", words] for words in others}
        for key in ("ap", "fpr95"):
            best, score = _best_published(before, name, half, key)
            first += [f"{_short(best)} ({get_score(score).title})", "1.00"]
            for words, found in others.items():
                values = [numbers[name][half][key] for numbers in found]
                cells[words] += [_spread(values, THREE), f"{statistics.fmean(values) / best:.2f}"]
        lines += [[_title(name), frames, "best published score before", *first], *cells.values()]
    table = _table(["data set", "frames", "score", "AP", "AP ×", "FPR95", "FPR95 ×"], lines, texts=3)
    return f"{table}\n\n{_closed_set(results, ours)}\n\n{provenance(rows)}"


def short_table(results: Path) -> str:
    """Return the network before and after, on all frames, for people in a hurry."""
    rows = read_rows("far", results)
    before, ours = _before_and_ours(rows)
    if not (before and ours):
        return "Nothing measured yet."
    lines = []
    for name in SETS:
        for title, words, found, kind in (
            (_title(name), "before, entropy", [before["entropy"]], "unknown"),
            ("", "before, energy", [before["energy"]], "unknown"),
            ("", "after, entropy", ours, "unknown"),
            ("", "after, energy", ours, "energy"),
        ):
            numbers = [row[kind][name]["all"] for row in found]
            columns = [_spread([n[key] for n in numbers], THREE) for key in ("auroc", "ap", "fpr95")]
            lines.append([title, words, *columns])
    head = ["data set", "network, score", "AUROC ↑", "AP ↑", "FPR95 ↓"]
    return f"{_table(head, lines)}\n\n{_closed_set(results, ours)}\n\n{provenance(rows)}"


def _before_and_ours(rows: Sequence[Row]) -> tuple[dict[str, Row], list[Row]]:
    """Return the rows of scores before training by their names, and all others."""
    before = {row["level"]: row for row in rows if row["factor"] == BASELINE}
    return before, [row for row in rows if row["factor"] != BASELINE]


def _best_published(before: Mapping[str, Row], name: str, half: str, key: str) -> tuple[float, str]:
    """Return the best number of any published score before training, and the score's name."""
    better = max if key == "ap" else min
    return better(
        (row["unknown"][name][half][key], score) for score, row in before.items() if score != SMOOTHED
    )


def _closed_set(results: Path, ours: Sequence[Row]) -> str:
    """Return a sentence on what the original task pays."""
    start = _start(read_rows("factors", results))
    assert start is not None, "the start is measured first"
    told = []
    for split, frames in start["known"].items():
        after = [100 * row["known"][split]["miou"] for row in ours]
        told.append(
            f"CamVid {split} ({frames['frames']} frames): {100 * frames['miou']:.1f} % before, "
            f"{_spread(after, '{:.1f}')} % after"
        )
    first = ours[0]
    recipe = f"{first['level']}, {first['epochs']} epochs, {len(ours)} seed(s)"
    return f"The recipe: {recipe}. mIoU: {'; '.join(told)}."


def errors_table(results: Path) -> str:
    """Return missed objects and false alarms of the best recipe, by every score, and of the best baseline."""
    rows = read_rows("errors", results)
    if not rows:
        return "Nothing measured yet."
    head = ["data set", "score, ours", "objects", "best before", "its errors", "ours", "ours, meta", "fewer"]
    lines = []
    for row in rows:
        meta = row["errors_meta"]
        shown = "–"
        if meta is not None and meta["value"] is not None:
            ends = [] if meta["low"] is None else [f" [{meta['low']:.0f}, {meta['high']:.0f}]"]
            shown = "".join([f"{meta['value']:.0f}", *ends])
        fewer = "–" if row["reduction_meta"] is None else f"{100 * row['reduction_meta']:.0f} %"
        words = [_title(row["dataset"]), _lower(row["score"]), str(row["objects"]), row["baseline"]]
        counts = [f"{row[key]:.0f}" for key in ("baseline_errors", "errors")]
        lines.append([*words, *counts, shown, fewer])
    return f"{_table(head, lines)}\n\n{provenance(rows)}"


def small_objects_table(results: Path) -> str:
    """Return what resolution, tiles and scales find of small objects, and what they cost."""
    rows = read_rows("small_objects", results)
    if not rows:
        return "Nothing measured yet."
    ends = [*(f"below {end:,}" for end in AREAS[1:]), f"{AREAS[-1]:,} and more"]
    found_at = [f"found, {end} px" for end in ends]
    head = ["network", "the frame at", "AUROC", "AP", "FPR95", *found_at, "ms/frame"]
    lines = []
    for row in rows:
        numbers = [_short(row[key]) for key in ("auroc", "ap", "fpr95")]
        found = [f"{number} of {objects}" for number, objects in row["found"]]
        lines.append([row["network"], row["way"], *numbers, *found, f"{row['ms']:,}"])
    return f"{_table(head, lines)}\n\n{provenance(rows)}"


def meta_table(results: Path) -> str:
    """Return how well false alarms are told, by protocol, and with what."""
    rows = read_rows("meta", results)
    if not rows:
        return "Nothing measured yet."
    columns = {
        "AUROC group": ("group", "auroc"),
        "AUROC leave-one-out": ("leave-one-out", "auroc"),
        "accuracy group": ("group", "accuracy"),
        "accuracy leave-one-out": ("leave-one-out", "accuracy"),
        "without looking": ("group", "naive_accuracy"),
    }
    head = ["network", "data set", "segments (false)", "first features (LARS)", *columns]
    lines = []
    for row in rows:
        numbers = [_short(row[protocol][number]) for protocol, number in columns.values()]
        counts = f"{row['segments']} ({row['false_alarms']})"
        first = ", ".join(f"`{name}`" for name in row.get("first_features", [])) or "–"
        lines.append([row["network"], _title(row["dataset"]), counts, first, *numbers])
    return f"{_table(head, lines, texts=4)}\n\n{provenance(rows)}"


def transfer_table(results: Path) -> str:
    """Return what a classifier that was fitted on one set is worth on another."""
    rows = [row for row in read_rows("meta", results) if "transfer" in row]
    if not rows:
        return "Nothing measured yet."
    lines = []
    for row in rows:
        numbers = {**row["transfer"], row["dataset"]: row["group"]["auroc"]}
        lines.append([row["network"], _title(row["dataset"]), *(_short(numbers.get(name)) for name in SETS)])
    return _table(["network", "fitted on", *map(_title, SETS)], lines)


def factor_points(rows: Sequence[Row]) -> list[Point]:
    """Return what the figure shows: every level but the start."""
    start = _start(rows)
    if start is None:
        return []
    return [
        Point(
            factor,
            _for(level, epochs),
            *([ratio(row, start, key) for row in found] for key in ("ap", "fpr95")),
        )
        for (factor, level, epochs), found in grouped(rows).items()
        if factor != "start"
    ]


def tried_panels(results: Path) -> list[Panel]:
    """Return what the second figure shows: every trained network on the tuning halves, by data set."""
    rows = [*read_rows("factors", results), *read_rows("far", results)]
    start = _start(rows)
    if start is None:
        return []
    before, trained = _before_and_ours(rows)
    least = start["known"]["val"]["miou"] - 0.01
    panels = []
    for name in SETS:
        tried = []
        for row in trained:
            cheap = row["known"]["val"]["miou"] >= least
            for kind, words in TRIED.get(row["factor"], {"unknown": ""}).items():
                numbers = row[kind][name]["tuning"]
                tried.append(Tried(words, numbers["ap"], numbers["fpr95"], cheap))
        best = None
        if before:
            ap, fpr95 = (_best_published(before, name, "tuning", key)[0] for key in ("ap", "fpr95"))
            best = (ap, fpr95)
        panels.append(Panel(_title(name), tried, best))
    return panels


def sweeps(results: Path) -> list[Sweep]:
    """Return what the third figure shows; thresholds at which nothing could be classified are left out."""
    found = []
    for dataset, own in itertools.groupby(read_rows("sweep", results), key=lambda row: row["dataset"]):
        rows = list(own)
        lines = {
            row["network"]: sorted(
                (point["known_flagged"], point["errors_meta"])
                for point in row["points"]
                if point["errors_meta"] is not None
            )
            for row in rows
        }
        found.append(Sweep(_title(dataset), lines, rows[0]["objects"]))
    return found


def grouped(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """Return rows by what they have in common beside the seed; factors in the order of their first rows."""
    factors: dict[str, dict[Group, list[Row]]] = {}
    for row in rows:
        groups = factors.setdefault(row["factor"], {})
        groups.setdefault((row["factor"], row["level"], row["epochs"]), []).append(row)
    return {group: found for groups in factors.values() for group, found in groups.items()}


def ratio(row: Row, start: Row, key: str, half: str = "tuning") -> float:
    """Return the geometric mean over the data sets of a number by that before training."""
    logs = [math.log(row["unknown"][name][half][key] / start["unknown"][name][half][key]) for name in SETS]
    return math.exp(statistics.fmean(logs))


def provenance(rows: Sequence[Row]) -> str:
    """Return one line: when, on what, with what, and for how long."""
    made = [row["provenance"] for row in rows]
    dates = sorted({found["date"] for found in made})
    machines = sorted({f"{found['processor']}, {found['threads']} thread(s)" for found in made})
    versions = sorted({found["packages"]["torch"] for found in made})
    spent = [sum(row["seconds"].values()) for row in rows if "seconds" in row]
    hours = f", {sum(spent) / 3600:.1f} hours, other work beside it" if spent else ""
    return (
        f"{len(rows)} rows, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}, {'; '.join(machines)}, "
        f"torch {', '.join(versions)}{hours}."
    )


def _for(level: str, epochs: int) -> str:
    """Return a level in words, with its epochs where they are more than the usual one."""
    return level if epochs < 2 else f"{level}, {epochs} epochs"


def _start(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row["factor"] == "start"), None)


def _pair(rows: Sequence[Row], name: str, half: str) -> str:
    numbers = [row["unknown"][name][half] for row in rows]
    return ", ".join(_spread([found[key] for found in numbers], THREE) for key in ("ap", "fpr95"))


def _ratios(rows: Sequence[Row], start: Row) -> list[str]:
    return [_spread([ratio(row, start, key) for row in rows], "{:.2f}") for key in ("ap", "fpr95")]


def _spread(values: Sequence[float], form: str) -> str:
    """Return a mean, with the standard deviation over seeds where there are several."""
    shown = [form.format(statistics.fmean(values))]
    if len(values) > 1:
        shown.append(form.format(statistics.stdev(values)).lstrip("+"))
    return " ± ".join(map(_without_zero, shown) if form == THREE else shown)


def _short(value: float | None) -> str:
    return "–" if value is None else _without_zero(THREE.format(value))


def _lower(score: str) -> str:
    title = get_score(score).title
    return title[0].lower() + title[1:]


def _without_zero(number: str) -> str:
    return number.removeprefix("0")


def _table(head: Sequence[str], lines: Iterable[Sequence[str]], *, texts: int = 2) -> str:
    """Return a Markdown table whose first columns, `texts` of them, are words, the others numbers."""
    rules = [*["---"] * texts, *["---:"] * (len(head) - texts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rules, *lines))


def _title(name: str) -> str:
    return DATASETS[name].title


PAGES: dict[Path, dict[str, Callable[[Path], str]]] = {
    PAGE: {
        "factors": factor_table,
        "far": far_table,
        "errors": errors_table,
        "small_objects": small_objects_table,
        "meta": meta_table,
        "transfer": transfer_table,
    },
    README: {"before and after": short_table},
}
