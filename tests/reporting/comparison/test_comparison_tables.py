"""A comparison as text, Markdown, LaTeX and CSV, against records made by hand."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pandas as pd
import pytest
from tests.reporting.comparison.example import CHOSEN, NO_DROPOUT, NO_OOD, RESULTS, awkward

from segood.evaluation.comparison.results import ComparisonResults, MethodInfo, Number, Row
from segood.reporting import (
    comparison_csv,
    comparison_latex,
    comparison_markdown,
    format_comparison,
    write_comparison_tables,
)
from segood.reporting.comparison.columns import COLUMNS

TABLE = """\
             AUROC     AP  FPR95   sIoU    PPV     F1  FP  FN  errors  reduced  errors  reduced      ms/
                 ↑      ↑      ↓      ↑      ↑      ↑   ↓   ↓       ↓        ↑  meta ↓   meta ↑  frame ↓
─────────────────────────────────────────────────────────────────────────────────────────────────────────
Start
  Entropy    0.800  0.300  0.600  0.400  0.300  0.200   8   4      12    −20 %       9     10 %     10.0
  Max logit  0.850  0.400  0.500  0.400  0.300  0.200   6   4      10      0 %       8     20 %      5.0*
  MC dropout     –      –      –      –      –      –   –   –       –        –       –        –        –
Tuned
  Entropy    0.900* 0.600  0.400* 0.400  0.300  0.200   5*  2       7*    30 %*      4*    60 %*    10.0
  Max logit  0.880  0.650* 0.450  0.400  0.300  0.200   9   1*     10      0 %       6     40 %      5.0*
  MC dropout     –      –      –      –      –      –   –   –       –        –       –        –        –
"""
EMPTY = ComparisonResults("c", "", "", 0, "0", None, "", [], [], [])


def first_row(**changes: object) -> ComparisonResults:
    """Return the results with another first row."""
    rows = [dataclasses.replace(RESULTS.rows[0], **changes), *RESULTS.rows[1:]]  # type: ignore[arg-type]
    return dataclasses.replace(RESULTS, rows=rows)


def test_block_of_a_data_set_by_hand() -> None:
    lines = format_comparison(RESULTS).split("\n\n")[0].splitlines()
    assert lines[:8] == [
        "Obstacles",
        "  protocol: smiyc; resolution: label; network input: 1024x512; region of interest: road",
        "  images: 5, 4 with OoD pixels; OoD segments: 12",
        "  sIoU, PPV, F1: segments from 50 px, objects from 10 px; "
        "score > threshold: best F1 on the same data",
        "  FP, FN, errors: score ≥ threshold: fewest errors on validation",
        "  meta classification: group",
        "  best baseline: Max logit, Start",
        "  intervals: 95 % bootstrap over images, 100 draws, seed 7; conditional on the trained networks; "
        "at least 90 of the draws define each number",
    ]
    assert lines[8:19] == TABLE.splitlines()
    assert lines[19:] == [
        "  * best of its column",
        "  F1 = mean over τ = 0.25 … 0.75; errors = FP + FN segments; meta = after meta classification",
        "  reduced = share by which errors lie below those of the best baseline",
    ]


def test_columns_without_any_value_are_dropped() -> None:
    assert format_comparison(RESULTS).split("\n\n")[1].splitlines() == [
        "Streets",
        "  protocol: val; resolution: label; network input: 1024x512; region of interest: road",
        "  images: 3, 0 with OoD pixels",
        "  FP, FN, errors: score ≥ threshold: fewest errors on validation",
        "  intervals: 95 % bootstrap over images, 100 draws, seed 7; conditional on the trained networks",
        "             FP",
        "              ↓",
        "────────────────",
        "Start",
        "  Entropy     7",
        "  Max logit   7",
        "  MC dropout  –",
        "Tuned",
        "  Entropy     7",
        "  Max logit   7",
        "  MC dropout  –",
    ]


def test_sections_and_reasons_by_hand() -> None:
    text = format_comparison(RESULTS)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "city Start 0.700 [0.690, 0.710] 3 900",
        "city Tuned 0.690 3 900",
        "Entropy, Start +0.100 [+0.050, +0.150] 99 % −5 [−8, −1] 100 %",
        "Max logit, Tuned +0.020 [−0.010, +0.040] 90 % –",
        "method classifier segments AUROC ↑ AUPRC ↑ accuracy ↑ 0–49 px from 50 px",
        "Entropy, Tuned linear 13 0.900 (0.500) 0.950 (0.550) 0.850 (0.600) 3/4 · 1/2 1/2 · 0/5",
        "Streets Obstacles Entropy, Tuned 7 – 0 – – –",
        "Obstacles Streets Entropy, Tuned – 3 0 0.800 (0.500) – –",
        f"– MC dropout, Start; MC dropout, Tuned: {NO_DROPOUT}",
        f"– Streets: {NO_OOD}",
        "– Streets → Obstacles, Entropy, Tuned: one class only",
        "validation: 3 frames",
    ):
        assert line in lines, line
    assert text.count(NO_DROPOUT) == text.count(NO_OOD) == 1


def test_reason_of_some_methods_names_them() -> None:
    results = first_row(errors=Number(None), segments_undefined="no threshold: give one")
    assert "– Obstacles, Entropy, Start: no threshold: give one" in format_comparison(results)


def test_thresholds_of_different_sources_are_told_apart() -> None:
    text = format_comparison(first_row(threshold_source="fixed"))
    assert f"score ≥ threshold: fixed (Entropy, Start); {CHOSEN} (3 methods)" in text


@pytest.mark.parametrize(
    ("values", "marked"),
    [((0.8, 0.85, 0.9, 0.88), ["0.900*"]), ((0.9001, 0.85, 0.9, 0.88), ["0.900*", "0.900*"]),
     ((0.9, 0.9, 0.9, 0.9), [])],
)  # fmt: skip
def test_best_as_printed(values: tuple[float, ...], marked: list[str]) -> None:
    rows = [dataclasses.replace(r, auroc=Number(v)) for r, v in zip(RESULTS.rows, values, strict=False)]
    only = dataclasses.replace(RESULTS, rows=rows)
    block = format_comparison(only).split("\n\n")[0]
    assert re.findall(r"0\.[89]\d\d\*", block) == marked  # other columns stay below 0.8


def test_lowest_is_best_where_lower_is_better() -> None:
    best = {"FPR95": "**.400 [.38, .42]**", "FP": "**5 [3, 7]**", "errors": "**7 [4, 10]**"}
    best |= {"AP": "**.650 [.55, .75]**"}
    lines = [line for line in comparison_markdown(RESULTS).splitlines() if "|" in line]
    rows = [line.strip("| ").split(" | ") for line in lines]
    header = [title.split(" ")[0] for title in rows[0]]
    for title, cell in best.items():
        bold = [row[header.index(title)] for row in rows[2:8] if row[header.index(title)].startswith("**")]
        assert bold == [cell]


def test_external_scores_have_fewer_columns() -> None:
    methods = [MethodInfo("maps/mine", "mine", "maps", "external")]
    row = Row("maps/mine", "d", auroc=Number(0.9, 0.8, 0.95, 5, 100), siou=Number(0.5))
    results = dataclasses.replace(
        EMPTY, methods=methods, rows=[row], datasets=RESULTS.datasets[:1], num_draws=100
    )
    lines = [" ".join(line.split()) for line in format_comparison(results).splitlines()]
    assert "AUROC sIoU" in lines
    assert "mine 0.900 0.500" in lines
    assert not any("meta" in line or "ms/" in line for line in lines)


def test_nothing_at_all() -> None:
    assert format_comparison(EMPTY) == "No results."
    assert comparison_markdown(EMPTY).endswith("\nNo results.\n")
    assert comparison_latex(EMPTY).endswith("% no results\n")
    unmeasured = dataclasses.replace(RESULTS, rows=[], closed_set=[], pairs=[], transfers=[], fitting={})
    text = format_comparison(unmeasured)
    assert "no values; the reasons are below" in text
    assert "– Obstacles: not measured" in text
    assert comparison_latex(unmeasured).endswith("% no results\n")


@pytest.mark.parametrize("results", [RESULTS, awkward()])
def test_markdown_tables_have_as_many_cells_in_every_row(results: ComparisonResults) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", comparison_markdown(results), flags=re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1, table


def test_markdown_states_date_seed_draws_and_the_protocol_of_every_table() -> None:
    text = comparison_markdown(RESULTS)
    assert "2025-01-31, segood 0.1; intervals: 95 % bootstrap over images, 100 draws, seed 7" in text
    assert "| Start | Entropy | .800 [.75, .85] | .300 [.20, .40] |" in text
    assert text.count("- protocol: ") == 3  # two data sets, meta classification
    assert "score &gt; threshold" in text


def test_markdown_escapes_names() -> None:
    text = comparison_markdown(awkward())
    assert "# a\\_b &lt;c&gt; \\$d\\$ \\| 50 % &amp; #1 {e}\\~^\\\\f\\*" in text.splitlines()
    assert "<c>" not in text
    assert not re.search(r"(?<!\\)\$", text)


def test_latex_is_complete_and_escaped() -> None:
    text = comparison_latex(awkward())
    code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert r"a\_b \textless{}c\textgreater{} \$d\$ \textbar{} 50 \% \& \#1 \{e\}" in code
    assert r"\textasciitilde{}\textasciicircum{}\textbackslash{}f*" in code
    assert not re.search(r"(?<!\\)[%#~]", code)
    assert code.isascii()
    assert code.count("{") - code.count(r"\{") == code.count("}") - code.count(r"\}")
    for name in ("table*", "tabular"):
        assert code.count(f"\\begin{{{name}}}") == code.count(f"\\end{{{name}}}") == 2
    for table in code.split(r"\begin{tabular}")[1:]:
        columns = len(re.match(r"\{(l r*)\}".replace(" ", ""), table).group(1))  # type: ignore[union-attr]
        cells = [line for line in table.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in cells} == {columns - 1}


def test_latex_caption_and_best() -> None:
    text = comparison_latex(RESULTS)
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    for words in (
        "protocol: smiyc",
        "images: 5",
        "seed 7",
        r"95 \% bootstrap",
        "100 draws",
        r"$\ge$ threshold",
    ):
        assert words in caption
    assert r"\quad Entropy & \textbf{0.900} & 0.600 & \textbf{0.400} &" in text
    assert r" & {\tiny [.85, .95]} & {\tiny [.50, .70]} &" in text


def test_latex_keeps_what_it_can_set() -> None:
    named = dataclasses.replace(RESULTS.datasets[0].info, title="Straße №7 → 道路\n\x07")
    datasets = [dataclasses.replace(RESULTS.datasets[0], info=named)]
    text = comparison_latex(dataclasses.replace(RESULTS, datasets=datasets))
    assert r"\caption{Straße No7 $\to$ ?? " in text


def table(results: ComparisonResults = RESULTS) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(comparison_csv(results)), dtype=str, keep_default_na=False)


def test_csv_equals_the_records() -> None:
    lines = table()
    found = lines[lines.method != ""].set_index(["dataset", "method", "metric", "meta_protocol"])
    assert found.index.is_unique
    compared = 0
    for row in RESULTS.rows:
        for column in COLUMNS:
            number = column.number(row)
            protocol = row.meta.protocol if row.meta and column.key.endswith("_meta") else ""
            if column.key.endswith("_meta") and row.meta is None:
                continue
            line = found.loc[(row.dataset, row.method, column.key, protocol)]
            if number.value is None:
                assert line["value"] == ""
                assert line["undefined"] == NO_OOD
                continue
            compared += 1
            assert float(line["value"]) == number.value
            assert line["undefined"] == ""
            if number.low is not None:
                assert [float(line[k]) for k in ("low", "high")] == [number.low, number.high]
                assert [int(line[k]) for k in ("num_images", "num_draws")] == [5, 90]
    assert compared == 4 * len(COLUMNS) + 4


def test_csv_says_threshold_protocol_and_reason() -> None:
    lines = table()
    errors = lines[(lines.method == "after/entropy") & (lines.dataset == "d") & (lines.metric == "errors")]
    assert errors[["threshold", "threshold_source", "protocol"]].to_numpy().tolist() == [
        ["0.5", CHOSEN, "smiyc"]
    ]
    dropout = lines[lines.score == "mc_dropout"]
    assert len(dropout) == 2 * 2 * (len(COLUMNS) - 2)
    assert set(dropout.undefined) == {NO_DROPOUT}
    moved = lines[(lines.meta_protocol == "transfer from Streets") & (lines.metric == "errors_meta")]
    assert moved.undefined.tolist() == ["one class only"]
    miou = lines[lines.metric == "miou"]
    assert miou[["dataset", "network", "method", "value"]].to_numpy().tolist() == [
        ["city", "before", "", "0.7"],
        ["city", "after", "", "0.69"],
    ]


def test_files_are_written(tmp_path: Path) -> None:
    paths = write_comparison_tables(awkward(), tmp_path / "new")
    assert [path.name for path in paths] == ["table.md", "table.tex", "table.csv"]
    assert sorted(tmp_path.joinpath("new").iterdir()) == sorted(paths)  # no temporary file stays
    assert paths[0].read_text(encoding="utf-8") == comparison_markdown(awkward())
    assert len(pd.read_csv(paths[2])) == len(table())


def test_functions_are_functions_whatever_was_imported_first() -> None:
    import segood.reporting as reporting

    names = ("comparison_csv", "comparison_latex", "comparison_markdown", "format_comparison")
    assert all(callable(getattr(reporting, name)) for name in names)
