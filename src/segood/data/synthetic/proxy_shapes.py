"""Outlines of the objects in the proxy images. None of them occurs in the evaluation sets.

In: a generator. Out: parts in the order they are painted, each an outline (n, 2) in units of the
object's height (x to the right, y down, the foot at y = 0, the top near y = -1) and a role:
"main" and "second" carry textures, "dark" and "light" plain colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from segood.data.synthetic.canvas import capsule, ellipse

Part = tuple[np.ndarray, str]


def _limb(*points: Sequence[float], widths: Sequence[float], role: str = "main") -> list[Part]:
    pairs = zip(points[:-1], points[1:], widths[:-1], widths[1:], strict=True)
    return [(capsule(a, b, wa, wb), role) for a, b, wa, wb in pairs]


def _outline(points: Any, role: str = "main") -> Part:
    return np.asarray(points, dtype=np.float64), role


def _mirrored(points: Any, role: str = "main") -> Part:
    half = np.asarray(points, dtype=np.float64)
    return np.concatenate([half, half[::-1] * (-1, 1)]), role


def _rounded(x: float, y: float, rx: float, ry: float, power: float = 4.0, role: str = "main") -> Part:
    t = np.arange(28) * (2 * math.pi / 28)
    c, s = np.cos(t), np.sin(t)
    points = [x + rx * np.sign(c) * np.abs(c) ** (2 / power), y + ry * np.sign(s) * np.abs(s) ** (2 / power)]
    return np.stack(points, axis=1), role


def _legs(rng: np.random.Generator, xs: Sequence[float], top: float, width: float) -> list[Part]:
    parts: list[Part] = []
    for index, x in enumerate(xs):
        role = "second" if index % 2 == 0 else "main"
        knee, foot = x + rng.normal(0, 0.03), x + rng.normal(0, 0.05)
        parts += _limb(
            (x, top), (knee, top / 2), (foot, -0.02), widths=(width * 1.3, width, width * 0.9), role=role
        )
    return parts


def _quadruped(rng: np.random.Generator) -> list[Part]:
    legs, width = rng.uniform(0.42, 0.55), rng.uniform(0.1, 0.14)
    parts = _legs(rng, (-0.5, -0.42, 0.3, 0.38), -legs, width)
    parts += _limb((-0.6, -0.75), (-0.72, -0.4), widths=(0.05, 0.04), role="second")
    body = ellipse((-0.06, -legs - 0.17), (0.58, 0.23), count=28)
    parts.append((body, "main"))
    head = (0.72, -0.9 + rng.uniform(-0.05, 0.3))
    parts += _limb((0.36, -legs - 0.22), head, widths=(0.3, 0.2))
    parts += _limb(head, (head[0] + 0.2, head[1] + 0.1), widths=(0.19, 0.12))
    for dx in (-0.05, 0.04):
        parts.append((ellipse((head[0] + dx, head[1] - 0.13), (0.035, 0.09), dx * 6, 12), "second"))
    parts.append((ellipse((head[0] + 0.05, head[1] - 0.02), (0.022, 0.022), count=8), "dark"))
    return parts


def _long_neck(rng: np.random.Generator) -> list[Part]:
    parts = _legs(rng, (-0.24, -0.19, 0.1, 0.15), -0.42, 0.06)
    parts.append((ellipse((-0.04, -0.48), (0.3, 0.12), -0.15, 24), "main"))
    head = (0.4 + rng.normal(0, 0.05), -0.95)
    parts += _limb((0.14, -0.52), head, widths=(0.17, 0.08))
    parts += _limb(head, (head[0] + 0.13, head[1] + 0.05), widths=(0.09, 0.06))
    parts += _limb(head, (head[0] - 0.02, head[1] - 0.09), widths=(0.025, 0.03), role="dark")
    return parts


def _elephant(rng: np.random.Generator) -> list[Part]:
    parts = _legs(rng, (-0.42, -0.34, 0.2, 0.28), -0.42, 0.17)
    parts.append((ellipse((-0.08, -0.6), (0.55, 0.34), count=30), "main"))
    parts.append((ellipse((0.5, -0.72), (0.24, 0.25), count=24), "main"))
    curl = rng.uniform(-0.05, 0.3)
    parts += _limb(
        (0.66, -0.68), (0.8, -0.42), (0.82, -0.2), (0.82 + curl, -0.1), widths=(0.2, 0.14, 0.1, 0.08)
    )
    parts.append((ellipse((0.36, -0.7), (0.17, 0.24), 0.2, 24), "second"))
    parts += _limb((0.66, -0.55), (0.86, -0.46), widths=(0.05, 0.02), role="light")
    parts.append((ellipse((0.6, -0.78), (0.022, 0.022), count=8), "dark"))
    return parts


def _sitting_animal(rng: np.random.Generator) -> list[Part]:
    side = rng.choice([-1.0, 1.0])
    tail = rng.uniform(0.2, 0.5)
    parts = _limb(
        (0.18 * side, -0.08),
        (0.5 * side, -0.06),
        (0.62 * side, -tail),
        widths=(0.1, 0.09, 0.07),
        role="second",
    )
    parts.append(_mirrored([(0, -0.72), (0.16, -0.66), (0.22, -0.45), (0.32, -0.2), (0.3, 0), (0, 0)]))
    parts += _limb((-0.1, -0.4), (-0.1, -0.03), widths=(0.11, 0.1)) + _limb(
        (0.1, -0.4), (0.1, -0.03), widths=(0.11, 0.1)
    )
    for x in (-0.15, 0.15):
        parts.append(
            _outline([(x - 0.09, -0.85), (x + np.sign(x) * 0.05, -1.05), (x + 0.09, -0.85)], "second")
        )
    parts.append((ellipse((0, -0.78), (0.22, 0.18), count=24), "main"))
    for x in (-0.08, 0.08):
        parts.append((ellipse((x, -0.8), (0.03, 0.035), count=10), "light"))
        parts.append((ellipse((x, -0.8), (0.012, 0.03), count=8), "dark"))
    parts.append(_outline([(-0.03, -0.73), (0.03, -0.73), (0, -0.69)], "dark"))
    return parts


def _bird(rng: np.random.Generator) -> list[Part]:
    parts = _limb((-0.03, -0.3), (-0.03, 0), widths=(0.03, 0.03), role="dark")
    parts += _limb((0.08, -0.3), (0.08, 0), widths=(0.03, 0.03), role="dark")
    parts.append(_outline([(-0.25, -0.5), (-0.75, -0.3), (-0.7, -0.45), (-0.3, -0.62)], "second"))
    parts.append((ellipse((0, -0.5), (0.4, 0.26), -0.3, 28), "main"))
    parts.append((ellipse((0.34, -0.8), (0.18, 0.17), count=22), "main"))
    wing = [(-0.5, -0.38), (-0.25, -0.65), (0.12, -0.66), (0.2, -0.5), (-0.1, -0.36)]
    parts.append(_outline(wing, "second"))
    parts.append(_outline([(0.48, -0.86), (0.68, -0.78), (0.48, -0.74)], "light"))
    parts.append((ellipse((0.38, -0.84), (0.03, 0.03), count=8), "dark"))
    return parts


def _umbrella(rng: np.random.Generator) -> list[Part]:
    parts = _limb(
        (0, -0.95), (0, -0.08), (0.06, -0.02), (0.12, -0.08), widths=(0.025, 0.03, 0.03, 0.03), role="dark"
    )
    t = np.linspace(math.pi, 2 * math.pi, 24)
    dome = np.stack([0.6 * np.cos(t), -0.5 + 0.47 * np.sin(t)], axis=1)
    x = np.linspace(0.6, -0.6, 25)
    rim = np.stack([x, -0.5 - 0.07 * np.abs(np.sin(np.linspace(0, 4 * math.pi, 25)))], axis=1)
    parts.append((np.concatenate([dome, rim]), "main"))
    middle = np.stack([0.2 * np.cos(t), -0.5 + 0.47 * np.sin(t)], axis=1)
    parts.append((middle, "second"))
    return parts


def _kite(rng: np.random.Generator) -> list[Part]:
    wide, waist = rng.uniform(0.25, 0.4), rng.uniform(-0.8, -0.65)
    parts = _limb((0, -0.35), (0.1, -0.22), (-0.05, -0.1), (0.08, 0), widths=(0.02,) * 4, role="dark")
    for x, y in ((0.1, -0.22), (-0.05, -0.1)):
        parts.append(
            _outline(
                [(x - 0.07, y - 0.04), (x + 0.07, y + 0.04), (x + 0.07, y - 0.04), (x - 0.07, y + 0.04)],
                "second",
            )
        )
    parts.append(_outline([(0, -1), (wide, waist), (0, -0.35), (-wide, waist)]))
    parts.append(_outline([(0, -1), (wide, waist), (0, waist)], "second"))
    return parts


def _surfboard(rng: np.random.Generator) -> list[Part]:
    y = np.linspace(-1, 0, 20)
    width = 0.17 * np.sin(np.pi * np.clip((y + 1.0) * 0.93 + 0.02, 0, 1)) ** 0.6
    parts = [_mirrored(np.stack([width, y], axis=1))]
    parts.append(_outline([(-0.02, -0.98), (0.02, -0.98), (0.02, -0.03), (-0.02, -0.03)], "second"))
    return parts


def _bottle(rng: np.random.Generator) -> list[Part]:
    shoulder, wide = rng.uniform(-0.7, -0.5), rng.uniform(0.13, 0.2)
    profile = [(0.05, -0.95), (0.05, -0.78), (wide, shoulder), (wide, -0.03), (wide * 0.85, 0)]
    label = [(-wide, -0.42), (wide, -0.42), (wide, -0.15), (-wide, -0.15)]
    return [_mirrored(profile), _outline(label, "second"), _mirrored([(0.06, -1.0), (0.06, -0.93)], "dark")]


def _crescent(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(0.15 * math.pi, 0.85 * math.pi, 18)
    outer = np.stack([0.8 * np.cos(t), -0.75 + 0.75 * np.sin(t)], axis=1)
    inner = np.stack([0.72 * np.cos(t), -0.78 + 0.42 * np.sin(t)], axis=1)[::-1]
    ends = [(ellipse((x, -0.45), (0.06, 0.05), count=8), "dark") for x in (-0.68, 0.68)]
    return [(np.concatenate([outer, inner]), "main"), *ends]


def _broccoli(rng: np.random.Generator) -> list[Part]:
    parts = [_mirrored([(0.1, -0.5), (0.13, 0), (0, 0)], "second")]
    for _ in range(11):
        angle, radius = rng.uniform(math.pi, 2 * math.pi), rng.uniform(0.1, 0.36)
        size = rng.uniform(0.15, 0.24)
        parts.append(
            (
                ellipse((radius * math.cos(angle), -0.5 + radius * math.sin(angle)), (size, size), count=14),
                "main",
            )
        )
    return parts


def _wedge(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(1.3 * math.pi, 1.7 * math.pi, 12)
    crust = np.stack([np.cos(t), np.sin(t)], axis=1)
    parts: list[Part] = [(np.concatenate([crust, [(0, 0)]]), "second")]
    parts.append((np.concatenate([crust * 0.9, [(0, 0)]]), "main"))
    for _ in range(rng.integers(2, 6)):
        angle, radius = rng.uniform(1.36, 1.64) * math.pi, rng.uniform(0.4, 0.8)
        parts.append(
            (ellipse((radius * math.cos(angle), radius * math.sin(angle)), (0.07, 0.07), count=12), "dark")
        )
    return parts


def _chair(rng: np.random.Generator) -> list[Part]:
    lean, thick = rng.uniform(0.0, 0.1), rng.uniform(0.05, 0.08)
    parts: list[Part] = []
    for x0, x1 in ((-0.24, -0.24), (0.12, 0.12), (-0.12, -0.15), (0.3, 0.33)):
        parts += _limb((x0, -0.45), (x1, -0.01), widths=(thick, thick), role="second")
    parts.append(_rounded(-0.24 - lean / 2, -0.72, 0.08, 0.29, role="second"))
    parts.append(_rounded(-0.08 - lean, -0.76, 0.22, 0.22))
    parts.append(_outline([(-0.32, -0.44), (0.2, -0.44), (0.36, -0.52), (-0.18, -0.53)]))
    return parts


def _couch(rng: np.random.Generator) -> list[Part]:
    wide = rng.uniform(0.9, 1.3)
    parts = [_rounded(0, -0.62, wide, 0.36), _rounded(0, -0.28, wide, 0.25, role="second")]
    for x in (-0.45 * wide, 0.45 * wide):
        parts.append(_rounded(x, -0.38, 0.42 * wide, 0.14))
    for x in (-wide, wide):
        parts.append(_rounded(x, -0.36, 0.16, 0.32))
    return parts


def _potted_plant(rng: np.random.Generator) -> list[Part]:
    parts: list[Part] = []
    for angle in np.linspace(-1.2, 1.2, int(rng.integers(5, 9))):
        tip = np.array([0.5 * math.sin(angle), -0.42 - 0.55 * math.cos(angle)])
        base = np.array([0.05 * math.sin(angle), -0.38])
        across = np.array([math.cos(angle), math.sin(angle)]) * rng.uniform(0.05, 0.1)
        middle = (tip + base) / 2
        parts.append((np.stack([base, middle + across, tip, middle - across]), "second"))
    parts.append(_mirrored([(0.24, -0.4), (0.17, 0), (0, 0)]))
    parts.append(_mirrored([(0.27, -0.43), (0.27, -0.34)]))
    return parts


def _laptop(rng: np.random.Generator) -> list[Part]:
    lean = rng.uniform(-0.1, 0.1)
    screen = [(-0.5 + lean, -1), (0.5 + lean, -1), (0.52, -0.3), (-0.52, -0.3)]
    inner = [(-0.45 + lean, -0.95), (0.45 + lean, -0.95), (0.47, -0.34), (-0.47, -0.34)]
    base = [(-0.52, -0.3), (0.52, -0.3), (0.68, -0.03), (0.66, 0), (-0.66, 0), (-0.68, -0.03)]
    keys = [(-0.46, -0.26), (0.46, -0.26), (0.52, -0.12), (-0.52, -0.12)]
    return [_outline(screen, "dark"), _outline(inner), _outline(base, "second"), _outline(keys, "dark")]


def _vase(rng: np.random.Generator) -> list[Part]:
    y = np.linspace(-1, 0, 20)
    neck, belly, at = rng.uniform(0.08, 0.16), rng.uniform(0.15, 0.28), rng.uniform(-0.5, -0.3)
    width = neck + belly * np.exp(-(((y - at) / 0.24) ** 2)) + 0.08 * np.exp(-(((y + 1) / 0.06) ** 2))
    band = [
        (-neck - belly * 0.95, at - 0.05),
        (neck + belly * 0.95, at - 0.05),
        (neck + belly * 0.95, at + 0.05),
        (-neck - belly * 0.95, at + 0.05),
    ]
    return [_mirrored(np.stack([width, y], axis=1)), _outline(band, "second")]


def _teddy_bear(rng: np.random.Generator) -> list[Part]:
    parts: list[Part] = []
    for s in (-1, 1):
        parts.append((ellipse((0.2 * s, -0.96), (0.1, 0.1), count=14), "second"))
        parts.append((ellipse((0.26 * s, -0.12), (0.13, 0.2), -0.5 * s, 18), "main"))
        parts += _limb((0.2 * s, -0.55), (0.42 * s, rng.uniform(-0.6, -0.35)), widths=(0.18, 0.16))
    parts.append((ellipse((0, -0.35), (0.29, 0.32), count=26), "main"))
    parts.append((ellipse((0, -0.33), (0.17, 0.2), count=20), "second"))
    parts.append((ellipse((0, -0.8), (0.25, 0.23), count=26), "main"))
    parts.append((ellipse((0, -0.73), (0.1, 0.08), count=16), "light"))
    for x, y, r in ((-0.09, -0.86, 0.025), (0.09, -0.86, 0.025), (0, -0.76, 0.035)):
        parts.append((ellipse((x, y), (r, r), count=10), "dark"))
    return parts


SHAPES: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "quadruped": _quadruped,
    "long_neck": _long_neck,
    "elephant": _elephant,
    "sitting_animal": _sitting_animal,
    "bird": _bird,
    "umbrella": _umbrella,
    "kite": _kite,
    "surfboard": _surfboard,
    "bottle": _bottle,
    "crescent": _crescent,
    "broccoli": _broccoli,
    "wedge": _wedge,
    "chair": _chair,
    "couch": _couch,
    "potted_plant": _potted_plant,
    "laptop": _laptop,
    "vase": _vase,
    "teddy_bear": _teddy_bear,
}
