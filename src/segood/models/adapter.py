"""One face for every segmentation network: RGB in [0,1] (N,3,H,W) -> logits (N,q,H,W).

The adapter normalises the images, runs the network, takes the logits out of whatever it returns (masks
with classes included), checks their shape, drops channels that are no classes, and resizes to the size of
the images.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models.dropout import dropout_modules
from segood.models.forward import Forward
from segood.models.inference import Inference
from segood.models.mask_outputs import find_mask_outputs, mask_class_logits
from segood.models.preprocessing import Preprocessing, cut_padding, pad_to_multiple
from segood.models.tiling import NetworkLogits, predict, resize_logits


class SegmentationModel(nn.Module):
    """Wrap any segmentation network.

    Args:
        network: maps normalised images (N,3,H,W) to logits (N,C,h,w): a tensor, a dict with `out`
            or `logits`, an object with `logits`, or the class and mask logits of a mask-classification
            network (see `segood.models.mask_outputs`). Its parameters are those of the model.
        num_classes: number of classes q, at least 2.
        class_names: q names; `class_0`, ... when None.
        preprocessing: normalisation and working size; ImageNet's, any size, when None.
        drop_channels: trailing channels of the network that are no classes: C = q + drop_channels.
        name: name of the network in `list_models`, import path of the user's function that builds it, or
            None for a module that was passed.
        options: what, besides `num_classes`, the named network was built with; needed to build it again.
        inference: how `predict_logits` computes; one float32 forward of the whole image when None.

    Attributes:
        network, num_classes, class_names, preprocessing, drop_channels, name, options: as given.
        inference: as given; another one may be set at any time.
        gives_masks: whether the network gives masks with classes; None before the first forward.
        random_weights: which weights are random, in words, as `load_model` knows it; None where none
            are, or where nobody can know.
        feature_layer: where features are taken unless a score says otherwise, see
            `segood.models.features.default_layer`; may be set.

    Raises:
        UsageError: an argument breaks its rule.

    Example:
        >>> model = SegmentationModel(nn.Conv2d(3, 4, 3, stride=2), num_classes=4)
        >>> model(torch.rand(2, 3, 65, 97)).shape
        torch.Size([2, 4, 65, 97])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
        drop_channels: int = 0,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        inference: Inference | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise UsageError(f"`network` must be a torch.nn.Module; got {type(network).__name__}")
        if num_classes < 2:
            raise UsageError(f"`num_classes` must be at least 2; got {num_classes}")
        if drop_channels < 0:
            raise UsageError(f"`drop_channels` must not be negative; got {drop_channels}")
        if class_names is None:
            class_names = [f"class_{i}" for i in range(num_classes)]
        if len(class_names) != num_classes:
            raise UsageError(
                f"`class_names` must hold num_classes={num_classes} names; got {len(class_names)}"
            )
        self.network = network
        self.name = name
        self.options: dict[str, Any] = dict(options or {})
        self.num_classes = num_classes
        self.class_names = tuple(str(n) for n in class_names)
        self.preprocessing = preprocessing or Preprocessing()
        self.drop_channels = drop_channels
        self.inference = inference or Inference()
        self._forward = Forward()
        self.gives_masks: bool | None = None
        self.random_weights: str | None = None
        self.feature_layer: str | None = None
        # buffers move with the module; not persistent: the state dict is the network's alone
        self.mean: Tensor
        self.std: Tensor
        mean, std = self.preprocessing.unit_normalization()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n q h w"]:
        """Compute logits.

        Args:
            images: float (N,3,H,W), RGB in [0,1], on the model's device; any H and W the network takes.

        Returns:
            Logits (N,q,H,W), float32 or wider, contiguous, at the size of `images`.

        Raises:
            UsageError: `images` has the wrong shape or type, or the network returns something that is
                no logits map of `num_classes + drop_channels` channels.
        """
        return resize_logits(self.network_logits(images), (images.shape[2], images.shape[3]))

    def network_logits(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n q i j"]:
        """Compute logits as `forward` does, but at the network's own output size."""
        return self._network_logits(images, self.network)

    def _network_logits(self, images: Tensor, call: Callable[[Tensor], Any]) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 3:
            raise UsageError(f"`images` must have shape (N,3,H,W); got {tuple(images.shape)}")
        if not images.is_floating_point():
            raise UsageError(f"`images` must be floating point in [0,1]; got {images.dtype}; divide by 255")
        size = (images.shape[2], images.shape[3])
        ordered = images.flip(1) if self.preprocessing.channel_order == "bgr" else images
        normalized = pad_to_multiple((ordered - self.mean).div_(self.std), self.preprocessing.size_multiple)
        output = call(normalized)
        if self.gives_masks is None and not torch.compiler.is_compiling():
            self.gives_masks = find_mask_outputs(output) is not None
        logits = extract_logits(output)
        self._check(logits, images)
        logits = cut_padding(logits, (normalized.shape[2], normalized.shape[3]), size)
        if self.drop_channels:
            logits = logits[:, : self.num_classes]
        # in half precision the resizing, and the softmax after it, would lose what the network knows
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        # networks may keep the channels innermost; what follows works class by class
        return logits.contiguous()

    def predict_logits(
        self, image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int] | None = None
    ) -> Float[Tensor, "q h w"]:
        """Compute the logits of one image, without gradient, in evaluation mode.

        The model's `inference` says how: by default in one forward of the image, resized to the model's
        working size if it has one. Logits are resized once, from the network's output to `size`. The mode
        (training, evaluation) of every submodule is as before afterwards.

        Args:
            image: uint8 (H,W,3), RGB.
            size: (rows, columns) of the result; None means those of `image`.

        Returns:
            Logits (q,H,W), on the model's device.

        Raises:
            UsageError: as `forward`; or `inference` asks for what is impossible here.

        Example:
            >>> model = SegmentationModel(nn.Conv2d(3, 4, 3, stride=2), num_classes=4)
            >>> model.predict_logits(np.zeros((65, 97, 3), np.uint8)).shape
            torch.Size([4, 65, 97])
        """
        with torch.no_grad(), evaluation_mode(self):
            return self.predict_in_mode(image, size)

    def predict_in_mode(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        size: tuple[int, int] | None = None,
        *,
        around: Callable[[NetworkLogits, Tensor], Tensor] | None = None,
        preprocessing: Preprocessing | None = None,
        compiled: bool = True,
    ) -> Float[Tensor, "q h w"]:
        """Compute logits as `predict_logits`, in the mode the modules are in; call it without gradient.

        Args:
            image: uint8 (H,W,3), RGB.
            size: (rows, columns) of the result; None means those of `image`.
            around: gets the function from images in [0,1] to the network's logits, and the images of one
                forward, and returns logits: with it one can see, or change, what the network sees.
            preprocessing: its working size instead of that of the model's.
            compiled: compile the network where `inference` says so; hooks are not seen by a compiled one.
        """
        inference = self.inference if compiled else replace(self.inference, compile=False)
        call = self._forward.of(self.network, inference)

        def network_logits(images: Tensor) -> Tensor:
            return self._network_logits(images, call)

        return predict(
            network_logits if around is None else partial(around, network_logits),
            image,
            size,
            preprocessing=preprocessing or self.preprocessing,
            inference=inference,
            device=self.mean.device,
        )

    @property
    def label(self) -> str:
        """What messages call the network: its name, its file, or its class."""
        path = getattr(self.network, "path", None)
        return self.name or (path.name if isinstance(path, Path) else type(self.network).__name__)

    @property
    def gives_gradients(self) -> bool:
        """Whether there may be a gradient of logits with respect to the image; ONNX files give none."""
        return bool(getattr(self.network, "gives_gradients", True))

    @property
    def gives_features(self) -> bool:
        """Whether the network has modules whose outputs can be seen; ONNX files have none."""
        return bool(getattr(self.network, "gives_features", True))

    @property
    def has_dropout(self) -> bool:
        """Whether a dropout module drops anything, see `segood.models.dropout.dropout_modules`."""
        return bool(dropout_modules(self.network))

    def extra_repr(self) -> str:
        """Name what `print(model)` shows besides the network."""
        return f"name={self.name!r}, num_classes={self.num_classes}, options={self.options}"

    def _check(self, logits: Tensor, images: Tensor) -> None:
        given, expected = tuple(logits.shape), self.num_classes + self.drop_channels
        n = images.shape[0]
        if logits.ndim == 4 and given[:2] == (n, expected) and logits.is_floating_point():
            return
        dropped = f" + drop_channels={self.drop_channels}" if self.drop_channels else ""
        rule = f"(N,C,h,w) with N={n}, C={expected} (num_classes={self.num_classes}{dropped})"
        hint = ""
        if logits.ndim == 4 and given[3] == expected:
            hint = "; the classes are on the last axis, move them to axis 1"
        elif logits.ndim == 3 and given[0] in (n, expected):
            hint = "; the batch or class axis is missing: give logits, not predicted classes"
        elif logits.ndim == 4 and given[0] == n and given[1] >= 2 and given[1] != expected:
            hint = f"; pass num_classes={given[1]}"
            if given[1] > expected:
                hint += f", or drop_channels={given[1] - self.num_classes} if the last ones are no classes"
        network = type(self.network).__name__
        raise UsageError(
            f"network {network} must give floating-point logits of shape {rule}; "
            f"got {given}, {logits.dtype}{hint}"
        )


def extract_logits(output: Any) -> Tensor:
    """Take the logits out of a network's output.

    Args:
        output: tensor, mapping with `out` or `logits`, or object with attribute `logits` or `out`;
            or class and mask logits, which are reduced to log class scores.

    Raises:
        UsageError: none of these.

    Example:
        >>> extract_logits({"out": torch.zeros(1, 2, 3, 3), "aux": None}).shape
        torch.Size([1, 2, 3, 3])
    """
    masks = find_mask_outputs(output)
    if masks is not None:
        return mask_class_logits(*masks)
    found = output
    for key in ("out", "logits"):
        if isinstance(found, Tensor):
            return found
        found = output.get(key) if isinstance(output, Mapping) else getattr(output, key, None)
    if isinstance(found, Tensor):
        return found
    has = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
    raise UsageError(
        "the network must return a logits tensor, a dict with `out` or an object with `logits`; "
        f"got {type(output).__name__}{has}"
    )


@contextlib.contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Switch `module` to evaluation mode; afterwards every submodule is in its own mode again."""
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        yield
    finally:
        for m in training:
            m.training = True
