"""The documentation site builds without a warning, is complete, and fetches nothing.

Its links, anchors and pictures resolve; every public name, verb and field is in the reference; all Python of
all pages is executed, here or by the test named below.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from docs import docstrings, hooks
from docs.hooks import PACKAGES, configurations, page_of, public_names
from playwright.sync_api import Browser, expect
from tests.pages import DOCS, blocks, run_python

import segood
from segood.cli import VERBS, main

ROOT = DOCS.parent
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))

EXECUTED_BY = {
    "calibration.md": "deployment/test_drift.py",
    "comparison.md": "test_docs_comparison.py",
    "explanation/": "test_docs_explanation.py",
    "howto/": "test_docs_howto.py",
    "index.md": "test_docs_howto.py",
    "inference.md": "test_docs_inference.py",
    "monitor.md": "test_docs_monitor.py",
    "networks.md": "test_docs.py",
    "scale.md": "deployment/fleet/test_fleet.py",
    "service.md": "deployment/service/test_documented.py",
    "tutorials/": "test_docs_tutorials.py",
}
"""Pages, or folders of pages, whose Python another test executes."""


class Page(HTMLParser):
    """What a page refers to, which anchors it has, and the text behind each.

    Attributes:
        anchors: id to the text from there to the next heading.
        links: of `a`, to pages and anchors.
        fetched: what a browser would load for the page.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: dict[str, str] = {}
        self.links: list[str] = []
        self.fetched: list[str] = []
        self._heading: str | None = None
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value for key, value in attrs if value is not None}
        if "id" in given:
            self.anchors.setdefault(given["id"], "")
        if re.fullmatch(r"h\d", tag):
            self._heading = given.get("id")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and "href" in given:
            self.fetched.append(given["href"])
        elif "src" in given:
            self.fetched.append(given["src"])

    def handle_data(self, data: str) -> None:
        if self._heading is not None:
            self.anchors[self._heading] += data


def squeezed(text: str) -> str:
    """Return a text without white space and Markdown's marks, in which pages and sources may differ."""
    return re.sub(r"[\s`*]", "", text)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO")]
    assert (done.returncode, warnings) == (0, [])
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


# ---- what is there


def nav_files(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for part in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
        yield from nav_files(part)


def test_every_page_is_in_the_navigation() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert set(PAGES) - set(nav_files(nav)) == set()


def test_every_public_package_has_a_page() -> None:
    inits = (ROOT / "src" / "segood").rglob("__init__.py")
    names = {".".join(path.parent.relative_to(ROOT / "src").parts) for path in inits}
    assert {name for name in names if hasattr(import_module(name), "__all__")} == set(PACKAGES)
    subpackages = {f"segood.{name}" for name in segood.__all__ if inspect.ismodule(getattr(segood, name))}
    assert subpackages <= set(PACKAGES)


def docstring(package: str, name: str) -> str:
    """Return the docstring of a public name; of a constant, the text below its assignment."""
    home = import_module(package)
    value = getattr(home, name)
    if callable(value):
        return inspect.getdoc(value) or ""
    candidates = [m for m in vars(home).values() if inspect.ismodule(m) and m.__name__.startswith(package)]
    if hasattr(home, "_HOMES"):
        candidates = [import_module(f"{package}.{home._HOMES[name]}")]
    for body in (ast.parse(inspect.getsource(module)).body for module in candidates):
        for before, after in pairwise(body):
            targets = [before.target] if isinstance(before, ast.AnnAssign) else getattr(before, "targets", [])
            if any(isinstance(t, ast.Name) and t.id == name for t in targets) and isinstance(after, ast.Expr):
                return str(ast.literal_eval(after.value))
    return ""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str, pages: dict[str, Page]) -> None:
    page = pages[page_of(package).replace(".md", ".html")]
    for name in public_names(package):
        said = docstring(package, name).split("\n\n")[0]
        assert said, f"{package}.{name} has no docstring"
        assert squeezed(said) in squeezed(page.anchors[f"{package}.{name}"]), f"{package}.{name}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_reference(
    verb: str, pages: dict[str, Page], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    assert squeezed(capsys.readouterr().out) in squeezed(
        pages["reference/cli.html"].anchors[f"segood-{verb}"]
    )


def test_every_field_is_in_the_reference(pages: dict[str, Page]) -> None:
    anchors = pages["reference/configuration.html"].anchors
    names = {config.__name__ for config in configurations()}
    assert {"TrainConfig", "EvaluationConfig", "ComparisonConfig", "ModelConfig", "DatasetConfig"} <= names
    for config in configurations():
        text = squeezed(anchors[f"{config.__module__}.{config.__qualname__}"])
        for field in config.__annotations__:  # those of a base class are at the base class
            assert squeezed(field) in text, f"{config.__name__}.{field}"


def test_the_examples_of_what_builds_it_run() -> None:
    for module in (docstrings, hooks):
        failed, tried = doctest.testmod(module)
        assert (failed, tried > 0) == (0, True), module


# ---- what it refers to


def test_links_anchors_and_pictures_resolve(site: Path, pages: dict[str, Page]) -> None:
    broken = []
    for name, page in pages.items():
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or name == "404.html":  # that page is served at any depth
                continue
            path = name
            if parts.path:
                path = os.path.normpath(PurePosixPath(name).parent / unquote(parts.path))
            if not (site / path).is_file():
                broken.append(f"{name}: {link}")
            elif parts.fragment and path in pages and unquote(parts.fragment) not in pages[path].anchors:
                broken.append(f"{name}: {link} (no such anchor)")
    assert broken == []


def test_a_reader_fetches_nothing_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    fetched = [link for page in pages.values() for link in page.fetched]
    assert [link for link in fetched if urlsplit(link).scheme not in ("", "data")] == []
    elsewhere = re.compile(r"(url\(|@import)\s*[\"']?(https?:)?//")
    assert [sheet for sheet in site.rglob("*.css") if elsewhere.search(sheet.read_text("utf-8"))] == []


@pytest.mark.browser
def test_it_works_from_a_folder(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto((site / "index.html").as_uri())
    page.get_by_role("textbox", name="Search").press_sequentially("Mahalanobis")
    expect(page.locator(".md-search-result__item").first).to_contain_text("segood.scores")
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []


# ---- what it tells to run


@pytest.mark.parametrize("page", EXECUTED_BY)
def test_the_others_execute_what_they_are_to(page: str) -> None:
    test = ROOT / "tests" / EXECUTED_BY[page]
    assert (DOCS / page).exists() == test.exists()
    assert not test.exists() or page.rstrip("/").rpartition("/")[2] in test.read_text(encoding="utf-8")


def test_the_python_of_all_other_pages_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = tuple(key for key in EXECUTED_BY if key.endswith("/"))
    for page in PAGES:
        if page in EXECUTED_BY or page.startswith(folders):
            continue
        names: dict[str, Any] = {}
        for kind, code in blocks(page):
            if kind == "python":
                run_python(code, page, names)
