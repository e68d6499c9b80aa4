"""The pages of docs/explanation run, and their numbers are those that the code gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from tests.pages import DOCS, blocks, run_python

PAGES = ("method", "protocols")


@pytest.mark.parametrize("name", PAGES)
def test_the_page_runs(name: str) -> None:
    page = f"explanation/{name}.md"
    codes = [code for kind, code in blocks(page) if kind == "python"]
    assert len(codes) >= 2
    printed = [run_python(code, page) for code in codes]
    if name == "protocols":
        assert [line.split() for line in printed[-1]] == [["0.88", "0.14", "0.41"], ["0.85", "0.12", "1.0"]]


def test_the_measurement_runs(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a frame of either set, reduced: the full one takes minutes."""
    weights = "espnetv2_s_2.0_city_1024x512.pth"
    (tmp_path / weights).symlink_to(shared / "weights" / weights)
    for source, copied, folders in (
        ("camvid", "camvid", ("test", "testannot")),
        ("fishyscapes_lost_and_found", "fishyscapes_lost_and_found", ("images", "labels_masks")),
    ):
        for folder in folders:
            there = tmp_path / "data" / copied / folder
            there.mkdir(parents=True)
            first = min((shared / "data" / source / folder).iterdir())
            frame = Image.open(first)
            frame.resize((frame.width // 2, frame.height // 2), Image.Resampling.NEAREST).save(
                there / f"0{first.suffix}"
            )
    monkeypatch.chdir(tmp_path)
    page = "explanation/what_entropy_sees.md"
    (code,) = [code for _, code in blocks(page)]
    small = code.replace("(768, 1024)", "(192, 256)").replace("(512, 1024)", "(128, 256)")
    printed = run_python(small, page)
    assert len(printed) >= 6
    assert sum(float(line.split()[1]) for line in printed[:5]) == pytest.approx(1.0, abs=1e-6)


def test_pages_point_at_each_other() -> None:
    for name in (*PAGES, "what_entropy_sees"):
        text = (DOCS / "explanation" / f"{name}.md").read_text(encoding="utf-8")
        for target in re.findall(r"\]\(((?!http)[^)#]+)", text):
            assert (DOCS / "explanation" / target).exists(), target
