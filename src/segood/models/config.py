"""How a configuration names a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from segood.errors import UsageError
from segood.models.inference import Average, Blend, Precision

if TYPE_CHECKING:
    import segood.models  # a module, not a name: command line parsers execute this block


@dataclass
class PreprocessingConfig:
    """What the network expects of its input; see `segood.models.Preprocessing`.

    What is not given is as the checkpoint, the pretrained weights or the network's entry have it.

    Args:
        mean: per channel, in the network's channel order and value range.
        std: per channel, likewise.
        working_size: rows and columns that images are resized to before the network.
        channel_order: rgb or bgr.
        value_range: what black and white become before mean and std: [0, 1], [0, 255], [-1, 1].
        size_multiple: rows and columns are padded to multiples of this, and the logits cut again.
    """

    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    working_size: tuple[int, int] | None = None
    channel_order: Literal["rgb", "bgr"] | None = None
    value_range: tuple[float, float] | None = None
    size_multiple: int | None = None

    def changes(self) -> dict[str, Any]:
        """Return what is given.

        Example:
            >>> PreprocessingConfig(working_size=(512, 1024)).changes()
            {'working_size': (512, 1024)}
        """
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


@dataclass
class InferenceConfig:
    """How predictions are computed; see `segood.models.Inference`, and docs/inference.md for the numbers.

    What is not given is as it was stored with the weights; without weights, one forward of the whole image.

    Args:
        tile_size: rows and columns of a tile, in pixels of the network's input; larger ones than the image
            give the whole image.
        overlap: share of a tile that it has in common with the next one, from 0 to below 1.
        tile_batch: tiles per forward; the result is the same.
        blend: weights of overlapping tiles: mean (equal) or gaussian (less towards a tile's border).
        scales: sizes of the image relative to the working size; results are averaged.
        flip: also average with the mirrored image.
        average: what is averaged: logits, or probs (softmax probabilities).
        precision: of the network's convolutions and products: float32 or bfloat16.
        channels_last: keep the channels innermost in memory.
        compile: use torch.compile.
    """

    tile_size: tuple[int, int] | None = None
    overlap: float | None = None
    tile_batch: int | None = None
    blend: Blend | None = None
    scales: tuple[float, ...] | None = None
    flip: bool | None = None
    average: Average | None = None
    precision: Precision | None = None
    channels_last: bool | None = None
    compile: bool | None = None

    def changes(self) -> dict[str, Any]:
        """Return what is given.

        Example:
            >>> InferenceConfig(flip=True).changes()
            {'flip': True}
        """
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


@dataclass
class ModelConfig:
    """A network and its weights.

    Args:
        name: a known network (`segood models list`), a checkpoint that segood wrote, an ONNX file, or
            code of yours: `my_pkg.my_model:build` or `path/to/my_model.py:build`.
        checkpoint: file with weights; random ones where not given, which only a training takes.
        num_classes: classes of the output; those of the checkpoint or network where not given.
        options: further options of the network (for example `scale: 2.0`), or arguments of your function.
        arch: architecture, for networks of other libraries (for example Unet of smp).
        encoder: encoder, likewise (for example resnet18 or tu-convnext_atto of smp).
        pretrained: weights of the library: true for its usual ones, or their name; a hub name or folder for
            transformers.
        preprocessing: what the network expects of its input, where it is not what comes with it.
        inference: how predictions are computed: tiles, scales, precision, where it is not as stored.
        allow_partial: load what fits of the checkpoint and leave the rest random, for example for a new head.
        classes: another name for num_classes.
    """

    name: str = "espnetv2"
    checkpoint: str | None = None
    num_classes: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    arch: str | None = None
    encoder: str | None = None
    pretrained: bool | str | None = None
    preprocessing: PreprocessingConfig | None = None
    inference: InferenceConfig | None = None
    allow_partial: bool = False
    classes: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.preprocessing, Mapping):  # read back from YAML
            self.preprocessing = PreprocessingConfig(**self.preprocessing)
        if isinstance(self.inference, Mapping):
            self.inference = InferenceConfig(**self.inference)
        if self.classes is not None:
            if self.num_classes not in (None, self.classes):
                raise UsageError(
                    f"`classes` is another name for `num_classes`; got {self.classes} and {self.num_classes}"
                )
            self.num_classes, self.classes = self.classes, None

    def all_options(self) -> dict[str, Any]:
        """Return the options with `arch`, `encoder` and `pretrained` among them, where given.

        Raises:
            UsageError: one of them is given twice, with different values.
        """
        shortcuts = {"arch": self.arch, "encoder": self.encoder, "pretrained": self.pretrained}
        given = {key: value for key, value in shortcuts.items() if value is not None}
        for key, value in given.items():
            if self.options.get(key, value) != value:
                raise UsageError(f"`{key}` is {value}, but in `options` it is {self.options[key]}; give one")
        return {**self.options, **given}

    def load(self, device: str = "cpu") -> segood.models.SegmentationModel:
        """Build the network and load its weights (see `segood.load_model` for what can go wrong)."""
        from segood.models import load_model

        return load_model(
            self.name,
            self.checkpoint,
            num_classes=self.num_classes,
            preprocessing=self.preprocessing.changes() if self.preprocessing else None,
            device=device,
            inference=self.inference.changes() if self.inference else None,
            allow_partial=self.allow_partial,
            **self.all_options(),
        )

    def load_trained(
        self, option: str = "model", device: str | None = None
    ) -> segood.models.SegmentationModel:
        """Build the network and load its weights; refuse one with weights that are random.

        Args:
            option: what the user calls this network, for the error.
            device: where the model goes; the GPU, where there is one, see `models.device`.

        Raises:
            UsageError: neither a checkpoint nor the path of a file that holds weights is given, nor
                pretrained weights for the whole network.
        """
        from segood.models import list_models
        from segood.models.device import default_device

        named = self.name in list_models()
        if self.checkpoint is None and named and not self.all_options().get("pretrained"):
            raise UsageError(
                f"`{option}` {self.name} has no weights, its output would be random; "
                f"give --{option}.name FILE.safetensors or --{option}.checkpoint FILE"
            )
        model = self.load(device or default_device())
        if model.random_weights is not None:
            raise UsageError(
                f"`{option}` {self.name} has random weights ({model.random_weights}), its output would be "
                f"random; train it first, or give --{option}.checkpoint FILE that holds all of them"
            )
        return model
