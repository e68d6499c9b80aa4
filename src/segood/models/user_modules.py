"""Networks written by the user, named by where their code is: `my_pkg.my_model:build`.

Enters: `module:name` or `path/to/file.py:name`; the name is a function that returns a module, a class,
or a module itself. Leaves: the `torch.nn.Module`. See `segood.user_code` for when their code is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from segood.errors import UsageError
from segood.user_code import call_user_code, check_arguments, imported


def build_user_network(import_path: str, num_classes: int | None, options: Mapping[str, Any]) -> nn.Module:
    """Import what `import_path` names, and call it.

    Args:
        import_path: see `segood.user_code.imported`.
        num_classes: passed on as `num_classes` if it is known and the function takes it.
        options: further keyword arguments of the function.

    Returns:
        The module.

    Raises:
        UsageError: nothing of that name, its code raises, it does not take the options, or it gives no
            `torch.nn.Module`.
    """
    with imported(import_path, "network") as found:
        if isinstance(found, nn.Module):
            if options:
                raise UsageError(f"{import_path} is a module, not a function; it takes no options")
            return found
        if not callable(found):
            raise UsageError(
                f"{import_path} must be a function, a class or a torch.nn.Module; it is of type "
                f"{type(found).__name__}"
            )
        known = {"num_classes": num_classes}
        arguments = check_arguments(found, import_path, options, known, "the model's `options`")
        network = call_user_code(import_path, found, arguments)
    if not isinstance(network, nn.Module):
        raise UsageError(f"{import_path} must return a torch.nn.Module; it returned {type(network).__name__}")
    return network
