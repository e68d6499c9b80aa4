"""Turn good files into bad ones: whole documents with a few wrong parts, and bytes that were damaged.

In: a generator and something good. Out: something that is bad, or nearly good; the good one stays as it was.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

NUMBERS: tuple[Any, ...] = (
    *(
        0,
        1,
        -1,
        2,
        3,
        7,
        255,
        256,
        65_535,
        65_536,
        2**31 - 1,
        2**31,
        2**32,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
    ),
    *(-(2**31), -(2**63), -(2**63) - 1, 10**30, 10**400, 0.0, -0.0, 0.5, 1.0, 1.5, 1e-320, 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf")),
)
TEXTS = (
    *(
        "",
        " ",
        "a",
        "0",
        "1",
        "NaN",
        "null",
        "\0",
        "a\nb",
        "\x1b[31mred",
        "\ud800",
        "\udc80",
        "ü",
        "日本",
        "\u2028",
    ),
    *(
        "../x",
        "/etc/passwd",
        "..",
        ".",
        "a/../../b",
        "C:\\x",
        "~",
        "x" * 300,
        "y" * 20_000,
        "{0}",
        "%s",
        "$x",
    ),
)
OTHERS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        [],
        {},
        [[]],
        [{}],
        [None],
        {"a": 1},
        {"": None},
        [0],
        [0, 0],
        [1, 2, 3],
        [1.5],
        ["a"],
    ),
    *([[0, 0], [1, 1]], list(range(1000)), [[[[[[[[1]]]]]]]], {"a": {"a": {"a": {"a": {}}}}}),
)
TOKENS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "9" * 5000,
    "1" * 400,
    "1e-999",
    "-",
    "00",
    "0x1",
)


def hostile_value(draw: random.Random) -> Any:
    """Return a value that JSON can write, of a kind that is seldom thought of."""
    kind = draw.random()
    return draw.choice(NUMBERS if kind < 0.5 else TEXTS if kind < 0.75 else OTHERS)


def altered(draw: random.Random, document: Any) -> Any:
    """Return a document of which one to three parts are another, gone, doubled, moved or of another type."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        document = _altered_once(draw, document, document)
    return document


def _altered_once(draw: random.Random, value: Any, whole: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.15:
        return _other(draw, value, whole)
    if isinstance(value, dict):
        keys = list(value)
        key = draw.choice(keys)
        act = draw.random()
        if act < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if act < 0.15:
            return {**value, draw.choice(TEXTS): hostile_value(draw)}
        if act < 0.2:
            return {**value, key: value[draw.choice(keys)]}
        return {**value, key: _altered_once(draw, value[key], whole)}
    place = draw.randrange(len(value))
    act = draw.random()
    if act < 0.1:
        return value[:place] + value[place + 1 :]
    if act < 0.15:
        return [*value, value[place]]
    if act < 0.2:
        return [*value[:place], hostile_value(draw), *value[place:]]
    return [*value[:place], _altered_once(draw, value[place], whole), *value[place + 1 :]]


def _other(draw: random.Random, value: Any, whole: Any) -> Any:
    """Return something in place of a value, often a relative of it."""
    act = draw.random()
    if type(value) in (int, float) and act < 0.4:
        try:
            return draw.choice(
                (
                    value + 1,
                    value - 1,
                    -value,
                    value * 1000,
                    value * 2**40,
                    value + 0.5,
                    float(value),
                    int(value),
                )
            )
        except (OverflowError, ValueError):
            return 0
    if isinstance(value, str) and act < 0.3:
        return draw.choice(
            (value * 2, value[:-1], value.upper(), value + "\0", "../" + value, value + draw.choice(TEXTS))
        )
    if act < 0.45:
        return draw.choice(([value], {"value": value}, str(value)[:10_000], [value] * 3))
    if act < 0.55:
        return _somewhere(draw, whole)
    return hostile_value(draw)


def _somewhere(draw: random.Random, value: Any) -> Any:
    while isinstance(value, (dict, list)) and value and draw.random() < 0.8:
        value = draw.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def hostile_json(draw: random.Random, document: Any) -> bytes:
    """Return a document as JSON text in which parts, and now and then the text itself, are wrong."""
    if draw.random() < 0.9:
        document = altered(draw, document)
    text = json.dumps(document, ensure_ascii=draw.random() < 0.9)
    content = text.encode("utf-8", "surrogatepass")
    act = draw.random()
    if act < 0.80:
        return content
    if act < 0.88:
        return damaged(draw, content)
    if act < 0.94:  # a token that is, or nearly is, a number
        places = [m.span() for m in re.finditer(r"-?\d+(\.\d+)?", text)] or [(0, 0)]
        start, end = draw.choice(places)
        return (text[:start] + draw.choice(TOKENS) + text[end:]).encode("utf-8", "surrogatepass")
    if act < 0.95:
        deep = draw.choice((b"[", b'{"a":', b'[{"a":')) * draw.choice((900, 100_000))
        return draw.choice((deep, content[: draw.randrange(len(content) + 1)] + deep))
    if act < 0.97:
        return text.encode(draw.choice(("utf-16", "utf-32", "utf-8-sig")), "surrogatepass")
    return content + draw.choice((b"\0", b"{}", b",", b"\xff", content))


def damaged(draw: random.Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Return bytes of which some were changed, lost, doubled or moved.

    Args:
        draw: the generator.
        content: what is damaged.
        others: files to take pieces from.
    """
    if not content:
        return bytes(draw.randrange(256) for _ in range(draw.randrange(20)))
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        place = draw.randrange(len(changed) or 1)
        act = draw.random()
        if act < 0.3 and changed:
            changed[place] ^= 1 << draw.randrange(8)
        elif act < 0.5 and changed:
            changed[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif act < 0.65:  # a number of another size
            width = draw.choice((2, 4, 8))
            number = draw.choice((0, 1, 255, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63, 2**64 - 1))
            changed[place : place + width] = (number % (1 << 8 * width)).to_bytes(
                width, draw.choice(("little", "big"))
            )
        elif act < 0.75:
            del changed[place : place + draw.choice((1, 2, 4, 16, 100))]
        elif act < 0.83:
            changed[place:place] = changed[place : place + draw.choice((1, 4, 16, 100))]
        elif act < 0.9:
            changed[place:place] = bytes(draw.choice((1, 4, 64)))
        elif act < 0.95:
            other = draw.choice(others) if others else content
            start = draw.randrange(len(other) or 1)
            changed[place : place + draw.choice((4, 32, 200))] = other[
                start : start + draw.choice((4, 32, 200))
            ]
        else:
            del changed[place:]
    return bytes(changed)
