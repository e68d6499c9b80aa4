"""What the documentation site has beside the pages in docs/: reference pages, files that pages link to.

In: the package and the repository. Out: generated pages, links that stay inside. MkDocs
calls the `on_…` functions; see `hooks` in mkdocs.yml.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import posixpath
import re
import textwrap
import typing
from collections.abc import Iterator
from importlib import import_module, resources
from pathlib import Path
from unittest.mock import patch

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import segood
from segood.cli import VERBS

ROOT = Path(__file__).parent.parent
PROJECT = {
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
}
"""Pages of the repository that the site shows, and where."""

PACKAGES = (
    *("segood", "segood.data", "segood.data.synthetic", "segood.models", "segood.scores"),
    *("segood.segments", "segood.meta", "segood.evaluation", "segood.training", "segood.reporting"),
    *("segood.deployment", "segood.deployment.calibration", "segood.deployment.fleet"),
    "segood.deployment.service",
)
"""The public packages, in the order that data flows."""

WIDTH = 80
"""Characters of a line of help."""

_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)


# ---- what MkDocs calls


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and a copy of each file of the repository that a page links to."""
    pages = {
        uri: rewrite_links((ROOT / name).read_text(encoding="utf-8"), "", uri)
        for name, uri in PROJECT.items()
    }
    pages |= {page_of(package): package_page(package) for package in PACKAGES}
    pages["reference/index.md"] = overview_page()
    pages["reference/cli.md"] = command_page()
    pages["reference/configuration.md"] = configuration_page()
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    texts = [(name, (ROOT / name).read_text(encoding="utf-8")) for name in PROJECT]
    texts += [(f"docs/{f.src_uri}", f.content_string) for f in files.documentation_pages()]
    for path in sorted(
        {path for name, text in texts for path in outside_files(text, posixpath.dirname(name))}
    ):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that leave docs/ point to what the site has of the repository."""
    if page.file.generated_by:
        return markdown
    return rewrite_links(markdown, posixpath.dirname(f"docs/{page.file.src_uri}"), page.file.src_uri)


# ---- links


def _links(text: str, folder: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each relative link outside of code, with the path in the repository that it names."""
    code = [match.span() for match in _FENCE.finditer(text)]
    for match in _LINK.finditer(text):
        if not any(start <= match.start() < end for start, end in code):
            yield match, posixpath.normpath(posixpath.join(folder, match[1]))


def outside_files(text: str, folder: str) -> set[str]:
    """Return the files outside docs/ that a page in `folder` links to, and that are no pages of the site."""
    named = {path for _, path in _links(text, folder) if not path.startswith("docs/")}
    return {path for path in named - set(PROJECT) if (ROOT / path).is_file()}


def rewrite_links(text: str, folder: str, uri: str) -> str:
    """Return a page's text with its links relative to where the site has it.

    Args:
        text: Markdown.
        folder: of its source in the repository.
        uri: of the page in the site.
    """
    parts, done = [], 0
    for match, path in _links(text, folder):
        target = PROJECT.get(path) or (path[len("docs/") :] if path.startswith("docs/") else f"files/{path}")
        if path.startswith("docs/") and folder.startswith("docs"):
            continue
        parts += [
            text[done : match.start()],
            posixpath.relpath(target, posixpath.dirname(uri)),
            match[2] or "",
        ]
        done = match.end()
    return "".join([*parts, text[done:]])


# ---- reference


def page_of(package: str) -> str:
    """Return where the reference of a package lies.

    Example:
        >>> page_of("segood.data.synthetic"), page_of("segood")
        ('reference/data.synthetic.md', 'reference/segood.md')
    """
    return f"reference/{package.removeprefix('segood.')}.md"


def public_names(package: str) -> list[str]:
    """Return the names that a package exports, without its subpackages."""
    module = import_module(package)
    return [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]


def package_page(package: str) -> str:
    """Return the reference of a package: what it is for, then every public name."""
    module = import_module(package)
    names = public_names(package)
    kinds: dict[str, list[str]] = {"Classes": [], "Functions": [], "Constants": []}
    for name in names:
        value = getattr(module, name)
        kind = "Classes" if inspect.isclass(value) else "Functions" if callable(value) else "Constants"
        kinds[kind].append(name)
    lines = [f"# {package}", "", inspect.getdoc(module) or "", ""]
    for kind, members in kinds.items():
        if members:
            lines += [f"## {kind}", ""]
            for name in members:
                lines += [f"::: {package}.{name}", "    options: {heading_level: 3}", ""]
    return "\n".join(lines)


def overview_page() -> str:
    """Return the start page of the reference."""
    lines = ["# Reference", "", "[Command line](cli.md): every verb, every option. ", ""]
    lines += ["[Configuration](configuration.md): every field of the YAML files.", ""]
    lines += ["The packages, in the order that data flows:", "", "| package | what it does |", "|---|---|"]
    for package in PACKAGES:
        first = (inspect.getdoc(import_module(package)) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| [`{package}`]({page_of(package).removeprefix('reference/')}) | {first} |")
    return "\n".join(lines) + "\n"


def helps(verb: str) -> Iterator[tuple[str, str]]:
    """Yield a verb and its sub-verbs with the help that each prints.

    Args:
        verb: one of `segood.cli.VERBS`.
    """
    with patch.dict(os.environ, COLUMNS=str(WIDTH)):
        yield from _helps(verb, import_module(f"segood.cli.{verb}").build_parser())


def _helps(words: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    yield words, "\n\n".join(map(_reflowed, parser.format_help().strip().split("\n\n")))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name in action.choices:
                yield from _helps(f"{words} {name}", action.choices[name])


def _reflowed(paragraph: str) -> str:
    """Wrap a paragraph of prose, whose lines argparse leaves as they were written."""
    lines = paragraph.splitlines()
    if max(map(len, lines)) <= WIDTH or any(line.startswith(" ") for line in lines):
        return paragraph
    return textwrap.fill(" ".join(lines), WIDTH)


def command_page() -> str:
    """Return the reference of the command line: what every verb says of itself."""
    lines = ["# Command line", "", "What `--help` says, verb by verb, in pipeline order.", ""]
    for verb, what in VERBS.items():
        for words, text in helps(verb):
            level = "#" * (1 + len(words.split()))
            lines += [f"{level} segood {words}", ""]
            lines += [f"{what[0].upper()}{what[1:]}.", ""] if words == verb else []
            lines += ["```text", text, "```", ""]
    return "\n".join(lines)


def configurations() -> list[type]:
    """Return the dataclasses that verbs take their options from, each once, outer ones first."""
    found: dict[type, None] = {}

    def visit(hint: object) -> None:
        if inspect.isclass(hint) and dataclasses.is_dataclass(hint):
            found.setdefault(hint)
            for field in typing.get_type_hints(hint).values():
                visit(field)
        for part in typing.get_args(hint):
            visit(part)

    for verb in VERBS:
        for config in getattr(import_module(f"segood.cli.{verb}"), "CONFIGS", ()):
            visit(config)
    return list(found)


def configuration_page() -> str:
    """Return the reference of the configuration files."""
    lines = ["# Configuration", "", "A field is a key of the YAML file and an option of the command line:"]
    lines += ["`loss: {ood_weight: 0.9}` is `--loss.ood_weight 0.9`.", "", "## Fields", ""]
    for config in configurations():
        lines += [f"::: {config.__module__}.{config.__qualname__}"]
        lines += ["    options: {heading_level: 3, members: false}", ""]
    lines += ["## Files that come with segood", "", "`--config NAME` takes them by name.", ""]
    for path in sorted(Path(str(resources.files(segood) / "configs")).glob("*.yaml")):
        lines += [f"### {path.stem}", "", "```yaml", path.read_text(encoding="utf-8").strip(), "```", ""]
    return "\n".join(lines)
