"""Re-export names of a package without importing their modules before they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package's `__init__`.

    Args:
        package: the package's `__name__`.
        homes: public name -> module under the package that defines it; "" for a submodule.

    Example:
        >>> get, names = attach("segood", {"errors": ""})
        >>> names(), get("errors").__name__
        (['errors'], 'segood.errors')
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if not homes[name]:
            return import_module(f"{package}.{name}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)  # asked for once, then a plain attribute
        return value

    return get, lambda: sorted(homes)
