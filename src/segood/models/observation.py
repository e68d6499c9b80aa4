"""One image seen by one network: whatever scores need of it, with one forward shared by all of them.

Enters: a model, an image, and the scores that will be computed. Leaves: `NetworkObservation`, the
`segood.scores.Observation` of a network: logits, features, logits with dropout, logits of a perturbed image.
All follow the model's `inference` (tiles, views, precision), except that the network is not compiled where
its inside is needed: hooks, gradients, dropout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from segood.errors import UsageError
from segood.models.adapter import SegmentationModel, evaluation_mode
from segood.models.dropout import active_dropout
from segood.models.features import cut_feature_padding, default_layer, fetched
from segood.models.gradients import Objective, ascent, no_gradient, with_graph
from segood.models.preprocessing import check_image
from segood.models.tiling import NetworkLogits


class AskingScore(Protocol):
    """What is read of a score: what it needs, where its features are taken, whether a network will do."""

    needs: frozenset[Any]
    layer: str | None

    def check_network(self, network: Any) -> None: ...


def observe(
    model: SegmentationModel,
    image: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int] | None = None,
    scores: Iterable[AskingScore] = (),
    working_size: tuple[int, int] | None = None,
) -> NetworkObservation:
    """Look at an image with a network, for any number of scores.

    Nothing is computed before it is asked for; then logits, features and the graph for gradients come from
    one forward, made for all `scores`. What they did not announce is computed by another one.

    Args:
        model: the network.
        image: uint8 (H,W,3), RGB.
        size: (rows, columns) of logits and score maps; None means those of `image`.
        scores: those that will be computed.
        working_size: (rows, columns) the image is resized to before the network, instead of the model's.

    Returns:
        The observation.

    Raises:
        UsageError: a score needs what the network, or its `inference`, cannot give.

    Example:
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> seen = observe(SegmentationModel(network, num_classes=4), np.zeros((65, 97, 3), np.uint8))
        >>> seen.logits().shape, seen.features("1").shape, seen.features().shape
        (torch.Size([4, 65, 97]), torch.Size([8, 32, 48]), torch.Size([8, 32, 48]))
    """
    return NetworkObservation(model, image, size, scores, working_size)


class NetworkObservation:
    """What a network says about one image; made by `observe`.

    Where gradients are announced, the graph of the shared forward is kept as long as the observation is.

    Attributes:
        size: (rows, columns) of logits and score maps.
        num_classes: C.
        num_forwards: how often the network has seen the image so far; all tiles and views count as once.
        forward_seconds: wall-clock time of the shared forward, resizing included; None before it.
    """

    def __init__(
        self,
        model: SegmentationModel,
        image: UInt8[np.ndarray, "h w 3"],
        size: tuple[int, int] | None = None,
        scores: Iterable[AskingScore] = (),
        working_size: tuple[int, int] | None = None,
    ) -> None:
        check_image(image)
        self._model, self._image, self._scores = model, image, tuple(scores)
        changed = {} if working_size is None else {"working_size": working_size}
        self._preprocessing = model.preprocessing.changed(changed)
        rows, columns = image.shape[:2] if size is None else size
        self.size = (int(rows), int(columns))
        self.num_classes = model.num_classes
        self.num_forwards = 0
        self.forward_seconds: float | None = None
        self._logits: Tensor | None = None
        self._features: dict[str, Tensor] = {}
        self._graph: tuple[Tensor, Tensor] | None = None  # the image as the network sees it, and its logits
        self._signs: dict[Objective, Tensor] = {}
        self._check_scores()
        self._layers: list[str] = []
        asking = [score.layer for score in self._scores if "features" in score.needs]
        if asking:
            self._check_features()
            self._layers = [default_layer(model) if layer is None else layer for layer in asking]
        self._keeps_graph = any("gradients" in score.needs for score in self._scores) and self._is_whole()

    # ---- what scores ask for

    def logits(self) -> Float[Tensor, "c h w"]:
        """Return the logits at `size`; computed once and kept, not to be changed in place.

        They are those of `predict_logits`, bit for bit unless a graph is kept or the network is compiled.
        """
        if self._logits is None:
            self._share()
        assert self._logits is not None
        return self._logits

    def features(self, layer: str | None = None) -> Float[Tensor, "d i j"]:
        """Return features as `segood.scores.Observation` says, without the padding the network may need.

        Raises:
            UsageError: as there; or the image goes through the network in tiles or in several views.
        """
        self._check_features()
        layer = default_layer(self._model) if layer is None else layer
        if layer not in self._features:
            self._layers.append(layer)
            try:
                if self._logits is None:
                    self._share()
                if layer not in self._features:
                    self._predict(partial(self._see, [layer]))
            finally:
                self._layers.remove(layer)
        return self._features[layer]

    def dropout_logits(self, passes: int, seed: int) -> Iterator[Float[Tensor, "c h w"]]:
        """Return an iterator over logits with dropout at work, as `segood.scores.Observation` says.

        Modes and random generators are between the passes as they were before.

        Raises:
            UsageError: the network has no dropout module.
        """
        if not self._model.has_dropout:
            raise UsageError(
                f"network {self._model.label} has no dropout module (with a probability above 0), which the "
                "score 'mc_dropout' needs; use a network that has one, or another score, for example entropy"
            )
        network, device = self._model.network, self._model.mean.device
        seeds = np.random.SeedSequence(seed).generate_state(passes, np.uint64)
        return (self._predict(inside=active_dropout(network, device, int(s)), compiled=False) for s in seeds)

    def perturbed_logits(self, objective: Objective, epsilon: float) -> Float[Tensor, "c h w"]:
        """Return the logits of the moved image, as `segood.scores.Observation` says.

        The image is moved at the resolution that the network sees; every tile and view for itself.

        Raises:
            UsageError: the network gives no gradient of its logits.
        """
        if not epsilon:
            return self.logits()
        if not self._model.gives_gradients:
            raise UsageError(f"{no_gradient(self._model)}; use its PyTorch network, or epsilon=0")
        if not self._is_whole():

            def move(network_logits: NetworkLogits, images: Tensor) -> Tensor:
                graph = with_graph(self._model, network_logits, images)
                return network_logits(images + epsilon * ascent(self._model, objective, graph))

            self.num_forwards += 1  # in every tile
            return self._predict(move)
        if objective not in self._signs:
            self._signs[objective] = ascent(self._model, objective, self._whole_graph(), keep=True)
        step = epsilon * self._signs[objective]
        return self._predict(lambda network_logits, images: network_logits(images + step))

    # ---- forwards

    def _share(self) -> None:
        """Make the forward that everything announced comes from."""
        looks = bool(self._layers) or self._keeps_graph
        device = self._model.mean.device
        start = _now(device)
        self._logits = self._predict(partial(self._see, self._layers) if looks else None, compiled=not looks)
        self.forward_seconds = _now(device) - start
        self._check_scores()  # a forward may have told more of the network

    def _see(self, layers: Sequence[str], network_logits: NetworkLogits, images: Tensor) -> Tensor:
        """Keep features, and the graph if wanted, of one forward of the whole image."""
        model = self._model
        with fetched(model.network, layers) as found:
            if self._keeps_graph and self._graph is None:
                self._graph = with_graph(model, network_logits, images)
                logits = self._graph[1].detach()
            else:
                logits = network_logits(images)
        height, width = images.shape[2:]
        multiple = self._preprocessing.size_multiple
        padded = height + -height % multiple, width + -width % multiple
        for layer, features in found.items():
            self._features[layer] = cut_feature_padding(features[0], padded, (height, width))
        return logits

    def _whole_graph(self) -> tuple[Tensor, Tensor]:
        self._keeps_graph = True
        if self._logits is None:
            self._share()
        if self._graph is None:
            self._predict(partial(self._see, []))
        assert self._graph is not None
        return self._graph

    def _predict(
        self,
        around: Callable[[NetworkLogits, Tensor], Tensor] | None = None,
        *,
        inside: AbstractContextManager[None] | None = None,
        compiled: bool = False,
    ) -> Tensor:
        model = self._model
        self.num_forwards += 1
        with torch.no_grad(), evaluation_mode(model), inside or nullcontext():
            return model.predict_in_mode(
                self._image, self.size, around=around, preprocessing=self._preprocessing, compiled=compiled
            )

    # ---- what is possible

    def _is_whole(self) -> bool:
        """Whether the image goes through the network once, in one piece."""
        inference = self._model.inference
        if inference.num_views > 1:
            return False
        shape = self._image.shape[0], self._image.shape[1]
        rows, columns = self._preprocessing.resized(shape, inference.scales[0])
        tile = inference.tile_size
        return tile is None or (tile[0] >= rows and tile[1] >= columns)

    def _check_features(self) -> None:
        model = self._model
        if not model.gives_features:
            raise UsageError(f"network {model.label} gives no features; use its PyTorch network")
        if not self._is_whole():
            raise UsageError(
                "features need the whole image in one forward, but the model's `inference` has tiles or "
                "several views; leave out tile_size, flip and further scales, for example "
                "model.inference = Inference()"
            )

    def _check_scores(self) -> None:
        for score in self._scores:
            score.check_network(self._model)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
