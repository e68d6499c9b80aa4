"""Decode a large JSON object without holding its longest list as Python objects.

In: the text of one JSON object. Out: its members, except that the elements of one named list go to
a function one by one. Peak memory is the text plus one element; speed is that of `json.loads`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_WHITESPACE = re.compile(r"[ \t\n\r]*")


class JsonRuleError(Exception):
    """Valid JSON breaks a rule of its format; whoever knows the file adds its name."""


def decode_streaming(text: str, streamed: str, consume: Callable[[Any], None]) -> dict[str, Any]:
    """Decode a JSON object, handing the elements of one of its lists over one by one.

    Args:
        text: one JSON object; NaN and infinity, which are no JSON, are refused.
        streamed: key of the list to stream. Where its value is no list it is returned as it is.
        consume: called with each element in order.

    Returns:
        The members, an empty list in place of the streamed one.

    Raises:
        JsonRuleError: the text is no object, or holds NaN or infinity.
        ValueError: the text is no JSON (`json.JSONDecodeError` tells where).
        RecursionError: the text is nested too deeply.

    Example:
        >>> elements = []
        >>> decode_streaming('{"a": 1, "b": [2, {"c": 3}]}', "b", elements.append), elements
        ({'a': 1, 'b': []}, [2, {'c': 3}])
    """
    decode = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode

    def skip(position: int) -> int:
        match = _WHITESPACE.match(text, position)
        return match.end() if match else position

    def expect(sign: str, position: int) -> int:
        position = skip(position)
        if text[position : position + 1] != sign:
            raise json.JSONDecodeError(f"expecting {sign!r}", text, position)
        return skip(position + 1)

    def ends(position: int, closing: str) -> tuple[bool, int]:
        """After an element: whether the container ends here, and where to read on."""
        position = skip(position)
        if text[position : position + 1] == closing:
            return True, skip(position + 1)
        return False, expect(",", position)

    if text[skip(0) : skip(0) + 1] != "{":
        raise JsonRuleError("must hold one JSON object")
    members: dict[str, Any] = {}
    position = expect("{", 0)
    done = text[position : position + 1] == "}"
    if done:
        position = skip(position + 1)
    while not done:
        key, position = decode(text, position)
        if not isinstance(key, str):
            raise json.JSONDecodeError("expecting a property name", text, position)
        position = expect(":", position)
        if key == streamed and text[position : position + 1] == "[":
            members[key] = []
            position = skip(position + 1)
            empty = text[position : position + 1] == "]"
            if empty:
                position = skip(position + 1)
            while not empty:
                element, position = decode(text, position)
                consume(element)
                empty, position = ends(position, "]")
        else:
            members[key], position = decode(text, position)
        done, position = ends(position, "}")
    if position != len(text):
        raise json.JSONDecodeError("extra data", text, position)
    return members


def _refuse_constant(name: str) -> None:
    raise JsonRuleError(f"holds {name}, which is no number")
