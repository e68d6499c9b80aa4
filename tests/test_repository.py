"""What surrounds the code is true: citation, forms, hooks, release checklist, CONTRIBUTING."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def make_targets() -> dict[str, list[str]]:
    """Return the recipe lines of every target of the Makefile."""
    found: dict[str, list[str]] = {}
    for name, recipe in re.findall(r"^([a-z-]+):(?!=).*\n((?:\t.*\n)*)", read("Makefile"), re.M):
        found[name] = [line.strip().lstrip("@") for line in recipe.splitlines()]
    return found


def test_the_citation_has_what_the_format_asks_for() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert (citation["title"], citation["type"]) == ("segood", "software")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    paper: dict[str, Any] = citation["preferred-citation"]
    assert {"type", "title", "authors", "year"} <= set(paper)
    assert [author["family-names"] for author in paper["authors"]] == ["Chan", "Rottmann", "Gottschalk"]
    assert paper["year"] == 2021
    assert citation["references"] == [paper]
    assert paper["url"].removeprefix("https://") in read("README.md")


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_the_forms_are_forms(form: Path) -> None:
    described = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert set(described) == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in described["body"]]
    assert len(set(ids)) == len(ids) <= 4, "short forms get filled in"
    for field in described["body"]:
        assert field["type"] in ("input", "textarea", "checkboxes", "dropdown")
        assert field["attributes"]["label"]


def test_there_are_three_forms_and_their_pages_exist() -> None:
    assert [form.stem for form in FORMS] == ["bug", "new_data_or_network", "wrong_number"]
    for form in FORMS:
        for page in re.findall(r"docs/[\w/]+\.md", form.read_text(encoding="utf-8")):
            assert (ROOT / page).is_file(), page


def test_the_hooks_are_the_steps_of_make_check() -> None:
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local", "versions come from constraints.txt alone"
    steps = [line.replace("$(BIN)", ".venv/bin") for line in make_targets()["check"]]
    hooks = [hook["entry"] for hook in local["hooks"]]
    assert len(hooks) == len(steps)
    for hook, step in zip(hooks, steps, strict=True):
        assert step == hook or step.startswith(f"{hook} "), (hook, step)


def anchors_of(page: str) -> set[str]:
    """Return a page's anchors as GitHub makes them: small letters, no punctuation, hyphens for spaces."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", read(page), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_pages_and_headings(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", read(page))
    for link in links:
        target, _, anchor = link.partition("#")
        assert (ROOT / (target or page)).exists(), link
        if anchor:
            assert anchor in anchors_of(target or page), link
    assert links


def test_the_commands_of_the_release_exist() -> None:
    page = read("docs/release.md")
    targets = make_targets()
    named = set(re.findall(r"(?:^|`)make (?:PYTHON=\S+ )?([a-z-]+)", page, re.M))
    assert named >= {"test", "test-long", "docs", "bench", "check", "pins"}
    assert named <= set(targets)
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    for asked in re.findall(r"whl\)\[([a-z,]+)\]", page):
        assert set(asked.split(",")) <= set(extras)
    assert (ROOT / "benchmarks" / "gpu.py").is_file()


def test_contributing_is_read_in_two_minutes() -> None:
    text = read("CONTRIBUTING.md")
    assert len(text.split()) <= 540, "at 270 words a minute"
    assert set(re.findall(r"^make ([a-z-]+)", text, re.M)) <= set(make_targets())
