"""What all verbs share: parsing with one-line errors, exit codes, progress bars, output.

A verb module offers `build_parser() -> ArgumentParser` and `run(arguments) -> None`; where defaults
depend on the arguments (a run directory holds them), `set_defaults(parser, argv)` too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import traceback
import typing
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

from segood.cli.config_files import check_config_file, given_files
from segood.errors import SegoodError, UsageError, system_says
from segood.lazy import explain_missing

COMPARISONS = "compare_"
"""What the names of shipped configurations for `segood compare` begin with."""


_NO_MEMORY = (
    "the system has no memory left; give smaller images, a smaller batch_size or num_workers, "
    "or fewer processes, then repeat the command"
)
# what PyTorch, OpenCV and Python's threads say instead of MemoryError
_OUT_OF_MEMORY = (
    *("can't allocate memory", "out of memory", "Insufficient memory"),
    *("can't start new thread", "could not create a primitive", "could not execute a primitive"),
    "error return without exception set",  # code in C whose own error found no memory
)


class OutOfMemory(int):
    """The exit code of a verb for which memory was short."""


class _HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """jsonargparse's help, with the line breaks of the description kept."""


def make_parser(verb: str, description: str, example: str, usage: str = "") -> ArgumentParser:
    """Return a parser with `--debug` and an example in its help."""
    parser = ArgumentParser(
        prog=f"segood {verb}",
        usage=f"segood {usage or verb} [--option value ...]",
        description=f"{description}\n\nexample:\n  {example}",
        formatter_class=_HelpFormatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def make_sub_parser(verb: str, usage: str, description: str) -> ArgumentParser:
    """Return a parser with `--debug` for a part of a verb, such as `data check`."""
    parser = ArgumentParser(
        usage=f"segood {verb} {usage} [--option value ...]", exit_on_error=False, description=description
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_config(parser: ArgumentParser, *, shipped: Literal["trainings", "comparisons"] | None = None) -> None:
    """Add `--config`: a YAML file, or the name of one that comes with segood.

    Args:
        parser: of the verb.
        shipped: which of segood's own suit the verb; none where not given.
    """
    compares = shipped == "comparisons"
    own = [name for name in sorted(shipped_configs()) if name.startswith(COMPARISONS) == compares]
    names = f", or one of segood's own: {', '.join(own)}" if shipped else ""
    parser.add_argument("--config", action="config", help=f"YAML file with these options{names}")


def shipped_configs() -> dict[str, Path]:
    """Return the configurations that come with segood, by name."""
    folder = Path(str(resources.files("segood") / "configs"))
    return {path.stem: path for path in folder.glob("*.yaml")}


def run_verb(verb: ModuleType, argv: list[str]) -> int:
    """Parse, run, and turn errors into one line on stderr and an exit code."""
    debug = "--debug" in argv
    try:
        parser = verb.build_parser()
        if hasattr(verb, "set_defaults"):
            verb.set_defaults(parser, argv)
        words = _named_configs(argv)
        for file in given_files(words):
            check_config_file(file, parser, getattr(verb, "CONFIGS", ()))
        try:
            arguments = parser.instantiate(parser.parse_args(words))
        except ArgumentError as error:
            raise UsageError(explain(str(error), known_words(parser, verb))) from error
        verb.run(arguments)
    except SegoodError as error:
        return _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        return _fail("interrupted; finished work is kept", 1, debug)
    except BrokenPipeError:
        return 0  # the reader (head, less) has seen enough
    except MemoryError:
        return OutOfMemory(_fail(_NO_MEMORY, 1, debug))
    except OSError as error:
        return _fail(f"{error.filename or 'system'}: {system_says(error)}", 1, debug)
    except ModuleNotFoundError as error:
        told = explain_missing(f"segood {verb.__name__.rpartition('.')[2]}", error)
        return _fail(told or f"this is a bug in segood, please report it: {error}", 1, debug)
    except Exception as error:
        if any(words in str(error) for words in _OUT_OF_MEMORY):
            return OutOfMemory(_fail(_NO_MEMORY, 1, debug))
        what = f"{type(error).__name__}: {error}"
        return _fail(
            f"this is a bug in segood, please report it with the output of --debug: {what}", 1, debug
        )
    return 0


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"segood: error: {' '.join(message.split())}\n")
    return code


def _named_configs(argv: list[str]) -> list[str]:
    """Replace the name of a shipped configuration by its path."""
    shipped = shipped_configs()
    words = list(argv)
    for i, word in enumerate(words):
        if word == "--config" and i + 1 < len(words):
            words[i + 1] = _config_path(words[i + 1], shipped)
        elif word.startswith("--config="):
            words[i] = f"--config={_config_path(word[9:], shipped)}"
    return words


def _config_path(given: str, shipped: dict[str, Path]) -> str:
    if Path(given).exists():
        return given
    if given in shipped:
        return str(shipped[given])
    near = get_close_matches(given, shipped, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else f"; segood's own are {', '.join(sorted(shipped))}"
    raise UsageError(f"configuration {given!r} does not exist{hint}")


def known_words(parser: ArgumentParser, verb: ModuleType) -> set[str]:
    """Return all option names of a verb, the nested fields of its configuration included."""
    words = {w.lstrip("-") for action in parser._actions for w in action.option_strings}
    words |= {part for word in words for part in word.split(".")}
    for config in getattr(verb, "CONFIGS", ()):
        words |= set(_fields(config))
    return words - {""}


def _fields(config: type) -> Iterable[str]:
    for name, hint in typing.get_type_hints(config).items():
        yield name
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part) and isinstance(part, type):
                yield from _fields(part)


def explain(message: str, known: set[str]) -> str:
    """Turn a parser's message into one line that names the unknown key and the nearest valid one.

    Example:
        >>> explain("Option 'los.ood_weight' is not accepted", {"loss", "ood_weight"})
        "unknown key 'los' in 'los.ood_weight' (did you mean 'loss'?)"
    """
    unknown = re.search(r"unrecognized arguments: --?([^\s=]+)", message) or re.search(
        r"(?:does not accept option|Option|Key) '([^']+)'(?: is not (?:accepted|expected))?", message
    )
    if unknown and not message.startswith("Parser key"):
        path = unknown[1]
        wrong = next((part for part in path.split(".") if part not in known), path)
        near = get_close_matches(wrong, known, n=1)
        where = f" in '{path}'" if wrong != path else ""
        return f"unknown key '{wrong}'{where}" + (
            f" (did you mean '{near[0]}'?)" if near else "; --help lists the valid ones"
        )
    key = ".".join(re.findall(r'Parser key "([^"]+)"', message))
    inner = re.search(r"Option '([^']+)' is not accepted", message)
    if inner and key.split(".")[-1] in known and inner[1] not in known:
        near = get_close_matches(inner[1], known, n=1)
        return f"unknown key '{inner[1]}' in '{key}.{inner[1]}'" + (
            f" (did you mean '{near[0]}'?)" if near else "; --help lists the valid ones"
        )
    if "Union subtypes" in message and "Given value:" in message and "Got value" not in message:
        return f"`{key}` is incomplete or of the wrong type; see --{key}.help for its parts"
    expected = re.search(r"Expected an? (?:<class '([^']+)'>|([^.]+))\. Got value: (.*)", message)
    if expected:
        return f"`{key}` must be of type {expected[1] or expected[2]}; got {expected[3]}"
    return " ".join(message.split())


def first_positional(parser: ArgumentParser, argv: list[str]) -> str | None:
    """Return the first word that is neither an option nor an option's value."""
    flags = {o for action in parser._actions if action.nargs == 0 for o in action.option_strings}
    words = iter(argv)
    for word in words:
        if word == "--":
            return next(words, None)
        if not word.startswith("-"):
            return word
        if "=" not in word and word not in flags:
            next(words, None)  # its value; options within a data set or network have one, too
    return None


def add_processes(parser: ArgumentParser) -> None:
    """Add the option of verbs whose frames several processes can share."""
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="processes that share the frames, each with its own GPU where there are several; under torchrun "
        "or srun leave it at 1",
    )


def progress_bar(what: str, total: int) -> Callable[[], None]:
    """Show a bar with rate and remaining time on stderr; call the result once per finished item.

    Where `total` is 0, nobody knows when it ends.
    """
    from tqdm import tqdm

    bar = tqdm(total=total or None, desc=what, unit="frame", file=sys.stderr, leave=True, disable=None)

    def tick() -> None:
        bar.update()
        if total and bar.n >= total:
            bar.close()

    return tick


def say(text: str) -> None:
    """Print a line of output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """Print one line of warning on stderr."""
    sys.stderr.write(f"segood: warning: {text}\n")


def say_json(value: Any) -> None:
    """Print a value as JSON, for machines."""
    say(json.dumps(value, indent=2))
