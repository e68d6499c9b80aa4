"""What is trained: a base recipe, and one change of it at a time.

In: nothing. Out: `Recipe`s, each of them arguments of `segood train`, so that a row of the study is a
    command.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BASE = Path(__file__).with_name("base.yaml")
WEIGHTS = "espnetv2_s_2.0_city"
"""Start weights by the name that `segood models fetch` knows."""


@dataclass(frozen=True)
class Recipe:
    """One level of one factor.

    Attributes:
        factor: what is varied, `base` for nothing.
        level: its value, in words.
        arguments: of `segood train`, beside the base configuration.
    """

    factor: str
    level: str
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of a run's folder."""
        return f"{self.factor}-{self.level}".replace(" ", "_").replace("/", "_")


BASE_RECIPE = Recipe("base", "base")
STREETS = (
    "--unlabeled.name",
    "coco_known",
    "--unlabeled.root",
    "coco",
    "--unlabeled.options",
    "{shows: street}",
)
KNOWN = STREETS[:4]
OWN_SCALE = ("--augmentation.scale_range", "[1.0, 2.2]", "--augmentation.crop_size", "[352, 480]")
"""CamVid's frames have 360 rows: crops of 480 rows never show them at their own size."""
SMALL_PROXIES = (
    "--proxies.dataset.options", "{excluded: cityscapes, min_side: 240, background: ignore}",
)  # fmt: skip
WHOLE_IMAGES = ("--proxies.mode", "images", "--proxies.ratio", "0.2")
UNKNOWN_BACKGROUND = (
    "--proxies.dataset.options", "{excluded: cityscapes, min_side: 480, background: ood}",
)  # fmt: skip
WIDER_SIZES = ("--proxies.paste", "{height_range: [0.02, 0.4], height_jitter: 0.6}")
SMALL_SIZES = ("--proxies.paste", "{height_range: [0.02, 0.2], height_jitter: 0.6}")
FALLING = ("--optimizer.lr", "1.5e-4", "--optimizer.schedule", "poly")
CANDIDATE = (*STREETS, *SMALL_PROXIES, *WIDER_SIZES)

FACTORS: tuple[Recipe, ...] = (
    BASE_RECIPE,
    Recipe("in-distribution term", "labels", ("--loss.distillation", "0")),
    Recipe("in-distribution term", "labels and distillation", ("--loss.distillation", "0.5")),
    Recipe("proxies", "small images, too", SMALL_PROXIES),
    Recipe("proxies", "whole images", WHOLE_IMAGES),
    Recipe("proxies", "whole images, labels", (*WHOLE_IMAGES, "--loss.distillation", "0")),
    Recipe("λ", "0.03", ("--loss.ood_weight", "0.03")),
    Recipe("λ", "0.1", ("--loss.ood_weight", "0.1")),
    Recipe("λ", "0.6", ("--loss.ood_weight", "0.6")),
    Recipe("normalisation", "pooled, λ 0.9", ("--loss.normalization", "pooled", "--loss.ood_weight", "0.9")),
    Recipe("normalisation", "pooled, λ 0.6", ("--loss.normalization", "pooled", "--loss.ood_weight", "0.6")),
    Recipe("learning rate", "2e-5", ("--optimizer.lr", "2e-5")),
    Recipe("learning rate", "1.5e-4", ("--optimizer.lr", "1.5e-4")),
    Recipe("batch norm", "running statistics", ("--optimizer.freeze_batch_norm", "false")),
    Recipe("frozen", "the encoder", ("--optimizer.frozen", "[base_net]")),
    Recipe("pasted objects", "one per frame", ("--proxies.paste", "{max_objects: 1}")),
    Recipe("pasted objects", "two proxies per frame", ("--proxies.ratio", "2")),
    Recipe("pasted objects", "half of the frames", ("--proxies.ratio", "0.5")),
    Recipe("colour matching", "none", ("--proxies.paste", "{color_matching: 0}")),
    Recipe("colour matching", "full", ("--proxies.paste", "{color_matching: 1}")),
    Recipe("edges", "hard", ("--proxies.paste", "{feather: 0}")),
    Recipe("size by row", "smaller", ("--proxies.paste", "{height_range: [0.02, 0.2]}")),
    Recipe("size by row", "any size", ("--proxies.paste", "{height_range: [0.2, 0.2], height_jitter: 0.9}")),
    Recipe("place", "anywhere below the horizon", ("--proxies.paste", "{ground_ids: [254]}")),
    Recipe("brightness", "unchanged", ("--augmentation.brightness", "0")),
    Recipe("scale of the streets", "1.4 to 3.0", ("--augmentation.scale_range", "[1.4, 3.0]")),
    Recipe("scale of the streets", "1.0 to 2.2, crops of 480×352", OWN_SCALE),
    Recipe("distilled images", "and street-like COCO images", STREETS),
    Recipe("distilled images", "and COCO images with a known class", KNOWN),
    Recipe("proxies", "whole images, λ 0.1", (*WHOLE_IMAGES, "--loss.ood_weight", "0.1")),
    Recipe("proxies", "whole images, their background unknown", (*WHOLE_IMAGES, *UNKNOWN_BACKGROUND)),
    Recipe("together", "street-like COCO images, λ 0.1", (*STREETS, "--loss.ood_weight", "0.1")),
    Recipe("together", "street-like COCO images, more proxies, wider sizes, λ 0.1", (
        *CANDIDATE, "--loss.ood_weight", "0.1")),
    Recipe("together", "street-like COCO images, more proxies, wider sizes, λ 0.2", (
        *CANDIDATE, "--loss.ood_weight", "0.2")),
    Recipe("together", "street-like COCO images, more proxies, wider sizes, λ 0.1, learning rate 1.5e-4", (
        *CANDIDATE, "--loss.ood_weight", "0.1", "--optimizer.lr", "1.5e-4")),
    Recipe("together", "street-like COCO images, more proxies, small sizes, λ 0.1, learning rate 1.5e-4", (
        *STREETS, *SMALL_PROXIES, *SMALL_SIZES, "--loss.ood_weight", "0.1", "--optimizer.lr", "1.5e-4")),
)  # fmt: skip

BEST = Recipe(
    "best",
    "COCO images with a known class, more proxies, wider sizes, λ 0.2, falling learning rate",
    (*KNOWN, *SMALL_PROXIES, *WIDER_SIZES, "--loss.ood_weight", "0.2", *FALLING),
)
"""From what helped one by one on the tuning halves; told on the others."""
BEST_EPOCHS = 4
