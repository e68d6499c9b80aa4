"""Code of the user's, named by where it is: `my_pkg.my_module:name` or `path/to/file.py:name`.

In: an import path and what the named object is for. Out: the object, and the arguments it is called with.
This runs the user's code, as importing it would; it happens only where the user, or a configuration of
theirs, gives the import path, never because a checkpoint or a bundle names one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from segood.checks import check_choice
from segood.errors import SegoodError, UsageError

_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_IMPORT_PATH = re.compile(rf"(?P<home>.+\.py|{_DOTTED}):(?P<name>{_DOTTED})")


def is_import_path(text: str) -> bool:
    """Tell whether `text` names code: `package.module:name` or `file.py:name`.

    Example:
        >>> [is_import_path(text) for text in ("my_pkg.my_model:build", "nets/mine.py:Net", "unet")]
        [True, True, False]
    """
    return _IMPORT_PATH.fullmatch(text) is not None


@contextlib.contextmanager
def imported(import_path: str, what: str) -> Iterator[Any]:
    """Import what `import_path` names; within the context more of the user's code can be imported.

    Args:
        import_path: see `is_import_path`. Modules are looked for in the working directory first; a file's
            own folder is searched, too, until the context ends.
        what: what it is wanted for, in a word or two: `network`.

    Yields:
        The object.

    Raises:
        UsageError: nothing of that name, or its code raises.

    Example:
        >>> with imported("math:sqrt", "score") as found:
        ...     found(4)
        2.0
    """
    parts = _IMPORT_PATH.fullmatch(import_path)
    if parts is None:
        raise UsageError(f"`{import_path}` must be an import path such as my_pkg.my_module:name")
    home, name = parts["home"], parts["name"]
    with _importable(Path(home).parent if home.endswith(".py") else None):
        module = _import_file(home) if home.endswith(".py") else _import_module(home, what)
        yield _find(module, home, name)


def call_user_code(
    import_path: str, function: Callable[..., Any], arguments: Mapping[str, Any], *, shown: str = ""
) -> Any:
    """Call what was imported; an error in it becomes a `UsageError` of one line that names the place.

    Args:
        import_path: what the message calls it.
        function: the user's.
        arguments: by name.
        shown: what the message says of them; all of them if not given.
    """
    with _user_code(f"{import_path} failed when called with {shown or _listed(arguments)}"):
        return function(**arguments)


def check_arguments(
    function: Callable[..., Any],
    import_path: str,
    options: Mapping[str, Any],
    known: Mapping[str, Any],
    home: str,
) -> dict[str, Any]:
    """Return what the user's function is called with.

    Args:
        function: theirs.
        import_path: what messages call it.
        options: given by the user; each must be an argument of the function.
        known: what else there is, passed on where the function takes it.
        home: where options are given, for messages: `the model's \\`options\\``.

    Raises:
        UsageError: it does not take an option, or wants what nobody gave.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return dict(options)
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    named = {
        key: p
        for key, p in parameters.items()
        if p.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    }
    given = {k: v for k, v in known.items() if v is not None and (k in named or takes_any)}
    arguments = {**options, **given}
    if not takes_any:
        for option in options:
            if not named:
                raise UsageError(f"{import_path} takes no options; got {option}")
            check_choice(f"option of {import_path}", option, named)
    wanting = [key for key, p in named.items() if p.default is p.empty and key not in arguments]
    if wanting:
        where = f"give {wanting[0]}" if wanting[0] in known else f"give it in {home}"
        raise UsageError(f"{import_path} needs `{wanting[0]}`; {where}")
    return arguments


def _import_module(home: str, what: str) -> ModuleType:
    with _user_code(f"importing {home} failed"):
        try:
            return importlib.import_module(home)
        except ModuleNotFoundError as error:
            if error.name and (home == error.name or home.startswith(f"{error.name}.")):
                raise UsageError(
                    f"there is no module {error.name} for the {what} {home}; it is looked for in the "
                    f"working directory {Path.cwd()} and among what is installed; or give a file: "
                    "path/to/file.py:name"
                ) from None
            raise


def _import_file(home: str) -> ModuleType:
    """Run a file as a module of its own name; a file that was changed is read anew."""
    path = Path(home).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {home} (working directory: {Path.cwd()})")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"  # cannot hide an installed module
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a suffix of .py has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    with _user_code(f"importing {home} failed"):
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


def _find(module: ModuleType, home: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
            own = [key for key in public if getattr(vars(module)[key], "__module__", "") == module.__name__]
            check_choice(f"name in {home}", name, own or public or ["(nothing callable)"])
            raise UsageError(f"{home} has no {name}") from None
    return found


@contextlib.contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Search the working directory, and the folder of a file, for modules."""
    before = list(sys.path)
    sys.path[:0] = [str(p) for p in (folder and folder.resolve(), Path.cwd()) if p]
    importlib.invalidate_caches()  # the file may have been written a moment ago
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _user_code(what: str) -> Iterator[None]:
    """Tell in one line what went wrong in the user's code, and where."""
    try:
        yield
    except SegoodError:
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
        own = [f for f in frames if "importlib" not in f.filename]
        place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
        reason = str(error)
        if isinstance(error, SyntaxError):
            place, reason = f" ({Path(error.filename or '').name}, line {error.lineno})", error.msg
        reason = " ".join(reason.split())[:200]
        raise UsageError(f"{what}: {type(error).__name__}: {reason}{place}") from error


def _listed(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in arguments.items()) or "no arguments"
