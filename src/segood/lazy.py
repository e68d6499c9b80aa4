"""Re-export names of a package without importing their modules before they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "pandas", "pyarrow", "h5py", "jaxtyping"), "torch"),
    **dict.fromkeys(("safetensors", "scipy", "sklearn", "threadpoolctl"), "torch"),
    **dict.fromkeys(("lightning", "pycocotools", "tensorboard"), "train"),
    **dict.fromkeys(("jinja2", "matplotlib", "plotly"), "report"),
    "cv2": "torch",  # what needs it without PyTorch, video, says so itself
    "onnxruntime": "monitor",
    **dict.fromkeys(("ray", "fsspec", "aiohttp"), "ray"),
    **dict.fromkeys(("fastapi", "uvicorn", "prometheus_client", "python_multipart"), "serve"),
}
"""What is not part of the base installation: module -> the extra of segood that installs it."""


def explain_missing(what: str, error: ModuleNotFoundError) -> str | None:
    """Return what to install for a module that is missing; None for one that segood does not know.

    Example:
        >>> explain_missing("segood.load_model", ModuleNotFoundError(name="torch"))
        "segood.load_model needs torch, which is not installed; pip install 'segood[torch]'"
    """
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        return None
    return f"{what} needs {error.name}, which is not installed; pip install 'segood[{extra}]'"


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
        try:
            value = getattr(import_module(f"{package}.{homes[name]}"), name)
        except ModuleNotFoundError as error:
            told = explain_missing(f"{package}.{name}", error)
            raise (error if told is None else ModuleNotFoundError(told, name=error.name)) from None
        setattr(sys.modules[package], name, value)  # asked for once, then a plain attribute
        return value

    return get, lambda: sorted(homes)
