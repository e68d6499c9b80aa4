"""The two families of unknown objects: those of the proxies and those of the evaluation sets.

A method must find objects it has never seen, so the two lists share no object, no shape and no
texture; what they share is light, weather, sensor, and the streets. Every name of a shape or
texture here is a key of the tables that draw it (`proxy_shapes`, `proxy_textures`, `solids`,
`solid_textures`), so what is not listed cannot be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProxyFamily:
    """A kind of object in the proxies: flat, organic or household outlines.

    Attributes:
        name: COCO's name of the category; category_id: COCO's id.
        supercategory: COCO's name of the group.
        shape: key of `proxy_shapes.SHAPES`.
        textures: keys of `proxy_textures.TEXTURES`.
    """

    name: str
    category_id: int
    supercategory: str
    shape: str
    textures: tuple[str, ...]


@dataclass(frozen=True)
class ObstacleFamily:
    """A kind of object in the evaluation sets: solids in perspective.

    Attributes:
        name: in words.
        label_ids: LostAndFound's ids (2..43), empty if it occurs in overlay scenes only.
        solid: key of `solids.SOLIDS`.
        textures: keys of `solid_textures.TEXTURES`.
        extent: width, height, depth in metres, the middle of what is drawn.
    """

    name: str
    label_ids: tuple[int, ...]
    solid: str
    textures: tuple[str, ...]
    extent: tuple[float, float, float]


_FUR = ("fur", "blotches", "mottle")
_CLOTH = ("plaid", "dots", "zigzag", "petals", "mottle")
_GLAZE = ("swirl", "gloss", "dots", "petals")

PROXY_FAMILIES = (
    ProxyFamily("bird", 16, "animal", "bird", ("fur", "swirl", "gloss", "mottle")),
    ProxyFamily("cat", 17, "animal", "sitting_animal", (*_FUR, "tiger")),
    ProxyFamily("cow", 21, "animal", "quadruped", _FUR),
    ProxyFamily("elephant", 22, "animal", "elephant", ("mottle", "swirl", "gloss")),
    ProxyFamily("zebra", 24, "animal", "quadruped", ("tiger",)),
    ProxyFamily("giraffe", 25, "animal", "long_neck", ("blotches", "mottle")),
    ProxyFamily("umbrella", 28, "accessory", "umbrella", _CLOTH),
    ProxyFamily("kite", 38, "sports", "kite", _CLOTH),
    ProxyFamily("surfboard", 42, "sports", "surfboard", (*_GLAZE, "zigzag")),
    ProxyFamily("bottle", 44, "kitchen", "bottle", ("gloss", "swirl")),
    ProxyFamily("banana", 52, "food", "crescent", ("gloss", "mottle")),
    ProxyFamily("broccoli", 56, "food", "broccoli", ("dots", "mottle", "fur")),
    ProxyFamily("pizza", 59, "food", "wedge", ("dots", "blotches")),
    ProxyFamily("chair", 62, "furniture", "chair", (*_CLOTH, "gloss")),
    ProxyFamily("couch", 63, "furniture", "couch", _CLOTH),
    ProxyFamily("potted plant", 64, "furniture", "potted_plant", _GLAZE),
    ProxyFamily("laptop", 73, "electronic", "laptop", ("gloss", "swirl", "zigzag")),
    ProxyFamily("vase", 86, "indoor", "vase", _GLAZE),
    ProxyFamily("teddy bear", 88, "indoor", "teddy_bear", ("fur", "mottle", "plaid")),
)
"""Families that the proxies show, by COCO's names, in the COCO layout."""

OBSTACLE_FAMILIES = (
    ObstacleFamily("crate", (2, 3, 4, 5, 6, 7, 10, 11, 12, 13), "cuboid", ("slats",), (0.6, 0.4, 0.45)),
    ObstacleFamily("bumper", (8,), "cuboid", ("moulding",), (1.5, 0.3, 0.3)),
    ObstacleFamily("cardboard box", (9, 30), "cuboid", ("cardboard",), (0.6, 0.5, 0.5)),
    ObstacleFamily("exhaust pipe", (14,), "roller", ("brushed_metal", "rust"), (1.2, 0.2, 0.2)),
    ObstacleFamily("pallet", (16,), "cuboid", ("slats", "wood_grain"), (1.1, 0.18, 0.8)),
    ObstacleFamily("pylon", (17, 18, 19), "cone", ("hazard_bands",), (0.45, 0.7, 0.45)),
    ObstacleFamily("tyre", (21,), "drum", ("rubber_tread",), (0.65, 0.24, 0.65)),
    ObstacleFamily("marker pole", (31,), "roller", ("hazard_bands",), (1.1, 0.1, 0.1)),
    ObstacleFamily("plastic bag", (32,), "lump", ("crumple",), (0.6, 0.5, 0.5)),
    ObstacleFamily("post", (33,), "roller", ("hazard_bands", "rust"), (1.0, 0.12, 0.12)),
    ObstacleFamily("post stand", (34,), "cuboid", ("rubber_tread",), (0.7, 0.12, 0.4)),
    ObstacleFamily("styrofoam", (35,), "cuboid", ("foam",), (0.8, 0.35, 0.5)),
    ObstacleFamily("timber", (36, 37, 38), "cuboid", ("wood_grain",), (1.2, 0.12, 0.14)),
    ObstacleFamily("wheel cap", (39,), "drum", ("brushed_metal",), (0.42, 0.06, 0.42)),
    ObstacleFamily("plank", (40,), "cuboid", ("wood_grain",), (1.6, 0.09, 0.3)),
)
"""Families that stand on the road in the LostAndFound layout."""

OVERLAY_FAMILIES = (
    ObstacleFamily("barrel", (), "drum", ("rust", "hazard_bands"), (0.62, 0.9, 0.62)),
    ObstacleFamily("tent", (), "prism", ("tarpaulin",), (2.0, 1.3, 1.8)),
    ObstacleFamily("hay bale", (), "roller", ("straw",), (1.3, 1.2, 1.2)),
    ObstacleFamily("boulder", (), "lump", ("rock",), (1.1, 0.8, 0.9)),
    ObstacleFamily("mattress", (), "cuboid", ("quilt",), (1.5, 0.9, 0.25)),
    ObstacleFamily("log", (), "roller", ("bark",), (1.8, 0.45, 0.45)),
    ObstacleFamily("oil drum stack", (), "drum", ("corrugated",), (0.9, 1.3, 0.9)),
    ObstacleFamily("crushed can", (), "lump", ("crumple", "brushed_metal"), (0.7, 0.6, 0.6)),
)
"""Families pasted over scenes in the Fishyscapes layout."""
