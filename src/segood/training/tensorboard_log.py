"""What TensorBoard shows of an epoch beyond Lightning's scalars: how sure the network is, and where.

In: the entropy maps that `OutOfDistributionTraining.validation_step` returns. Out, once per validation:
histograms of the entropy of in-distribution and OoD pixels, and pictures of a few fixed frames.
Pixels are counted in fixed bins as frames pass, so memory does not grow with the number of frames.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

HISTOGRAMS = {"street": "entropy_pixels/in", "proxies": "entropy_pixels/ood"}
"""Tag of the histogram of each kind of validation frames."""
NUM_BINS = 100
PICTURE_WIDTH = 512
"""Columns of each of the two halves of a picture; smaller frames keep their size."""
_QUALITY = 90
_WRITER = "_AsyncWriterThread"


@contextlib.contextmanager
def quiet_writer() -> Iterator[None]:
    """Let TensorBoard's writing thread fail without a traceback: the next write raises the same."""
    before = threading.excepthook

    def tell(failed: threading.ExceptHookArgs) -> None:
        if type(failed.thread).__name__ != _WRITER or not isinstance(failed.exc_value, OSError):
            before(failed)

    threading.excepthook = tell
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if type(thread).__name__ == _WRITER and getattr(thread, "exception", None):
                thread.join()  # it is about to end, and to tell
        threading.excepthook = before


class TensorBoardLog(lightning.Callback):
    """Add entropy histograms and pictures of example frames to TensorBoard after each validation.

    Does nothing where the trainer has no `TensorBoardLogger`.

    Args:
        example_frames: pictures per validation, of street and proxy frames in turn.
        seed: fixes which frames.
    """

    def __init__(self, example_frames: int, seed: int) -> None:
        self.example_frames, self.seed = example_frames, seed
        self._is_wanted = False
        self._kinds: Sequence[str] = ()
        self._chosen: list[list[int]] = []
        self._entropies: dict[str, BinnedEntropy] = {}
        self._pictures: dict[str, dict[str, Any]] = {}  # by tag

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Start empty histograms and choose the frames, the same ones in every epoch."""
        self._is_wanted = bool(_loggers(trainer)) and not trainer.sanity_checking
        self._kinds = pl_module.validation_kinds
        self._entropies = {kind: BinnedEntropy() for kind in self._kinds}
        self._pictures = {}
        frames = [len(loader.dataset.samples) for loader in trainer.val_dataloaders]
        limits = [int(count) * trainer.world_size for count in trainer.num_val_batches]
        counts = [min(pair) for pair in zip(frames, limits, strict=True)]
        self._chosen = choose_examples(counts, self.example_frames, seed=self.seed)

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the frame's pixels; draw it, where it is one of the chosen."""
        if not self._is_wanted:
            return
        kind = self._kinds[dataloader_idx]
        self._entropies[kind].update(outputs["entropy"][outputs["counted"]])
        frame = batch_idx * trainer.world_size + trainer.global_rank  # see `ValidationFrames`
        if frame in self._chosen[dataloader_idx]:
            image, target = (part[0].cpu().numpy() for part in batch)
            picture = draw_example(image.transpose(1, 2, 0), outputs["entropy"][0].cpu().numpy(), target)
            self._pictures[f"examples/{kind}_{frame:04d}"] = _encode(picture)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Write what all processes have seen."""
        if not self._is_wanted:
            return
        seen: list[Any] = [(self._entropies, self._pictures)] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(seen, (self._entropies, self._pictures))
        if not trainer.is_global_zero:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary  # installed where there is a logger

        pictures = {tag: picture for _, some in seen for tag, picture in some.items()}
        for logger in _loggers(trainer):
            writer = logger.experiment
            for tag, picture in sorted(pictures.items()):
                value = Summary.Value(tag=tag, image=Summary.Image(**picture))
                writer.file_writer.add_summary(Summary(value=[value]), _step(trainer))
            for kind in self._kinds:
                entropy = BinnedEntropy.of(entropies[kind] for entropies, _ in seen)
                if entropy.num:
                    writer.add_histogram_raw(
                        HISTOGRAMS[kind], **entropy.as_histogram(), global_step=_step(trainer)
                    )


class BinnedEntropy:
    """Normalised entropies in bins of equal width; holds `NUM_BINS` counts however many pixels come.

    Example:
        >>> entropy = BinnedEntropy()
        >>> entropy.update(torch.tensor([0.0, 0.25, 1.0]))
        >>> entropy.num, entropy.counts[[0, 25, 99]].tolist()
        (3, [1, 1, 1])
    """

    def __init__(self) -> None:
        self.counts = torch.zeros(NUM_BINS, dtype=torch.int64)
        self.low, self.high = 1.0, 0.0
        self.sum = self.sum_squares = 0.0

    @classmethod
    def of(cls, parts: Iterable[BinnedEntropy]) -> BinnedEntropy:
        """Add up what several processes have counted."""
        whole = cls()
        for part in parts:
            whole.counts += part.counts
            whole.low, whole.high = min(whole.low, part.low), max(whole.high, part.high)
            whole.sum += part.sum
            whole.sum_squares += part.sum_squares
        return whole

    @property
    def num(self) -> int:
        """Number of pixels so far."""
        return int(self.counts.sum())

    def update(self, entropy: Tensor) -> None:
        """Count pixels; `entropy` is (P,), in [0,1], P ≥ 0."""
        if not entropy.numel():
            return
        entropy = entropy.float()
        bins = (entropy * NUM_BINS).int().clamp_(max=NUM_BINS - 1)
        self.counts += torch.bincount(bins, minlength=NUM_BINS).cpu()
        low, high = entropy.aminmax()
        self.low, self.high = min(self.low, low.item()), max(self.high, high.item())
        self.sum += entropy.sum(dtype=torch.float64).item()
        self.sum_squares += entropy.dot(entropy).item()

    def as_histogram(self) -> dict[str, Any]:
        """Return the arguments of `SummaryWriter.add_histogram_raw` but tag and step."""
        return {
            "min": self.low,
            "max": self.high,
            "num": self.num,
            "sum": self.sum,
            "sum_squares": self.sum_squares,
            "bucket_limits": (np.arange(1, NUM_BINS + 1) / NUM_BINS).tolist(),
            "bucket_counts": self.counts.tolist(),
        }


def choose_examples(counts: Sequence[int], wanted: int, *, seed: int) -> list[list[int]]:
    """Draw frames of several sets, one of each in turn until there are enough.

    Args:
        counts: frames of each set.
        wanted: frames in all; fewer where the sets hold fewer.
        seed: fixes the draw.

    Returns:
        Per set its chosen frames, rising.

    Example:
        >>> [len(frames) for frames in choose_examples([500, 1], 4, seed=0)]
        [3, 1]
    """
    shares = [0] * len(counts)
    while sum(shares) < min(wanted, sum(counts)):
        for number, count in enumerate(counts):
            if shares[number] < count and sum(shares) < wanted:
                shares[number] += 1
    rng = np.random.default_rng((seed, len(counts)))
    return [
        sorted(rng.permutation(count)[:share].tolist()) for count, share in zip(counts, shares, strict=True)
    ]


def draw_example(image: np.ndarray, entropy: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Draw a frame and, beside it, its entropy; both with the borders of the target's labels.

    Args:
        image: uint8 (H,W,3), RGB.
        entropy: (H,W), in [0,1].
        target: (H,W), labels.

    Returns:
        uint8 (h,2w,3), RGB, w ≤ `PICTURE_WIDTH`: frame left, entropy right, dark where it is 0.
    """
    height, width = target.shape
    scale = min(1.0, PICTURE_WIDTH / width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    levels = np.rint(np.clip(entropy, 0, 1) * 255).astype(np.uint8)
    reduced = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (image, levels)]
    labels = cv2.resize(target.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    border = np.zeros(labels.shape, dtype=bool)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    heat = cv2.applyColorMap(reduced[1], cv2.COLORMAP_INFERNO)[..., ::-1]  # the map of the reports
    picture = np.concatenate([reduced[0], heat], axis=1)
    picture[np.tile(border, (1, 2))] = (0, 255, 255)  # in neither the map nor, mostly, a street
    return picture


def _encode(picture: np.ndarray) -> dict[str, Any]:
    """Return a picture as TensorBoard stores it; as JPEG, a tenth of the time and size of PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=_QUALITY)
    height, width = picture.shape[:2]
    return {
        "height": height,
        "width": width,
        "colorspace": 3,
        "encoded_image_string": buffer.getvalue(),
    }


def _loggers(trainer: lightning.Trainer) -> list[TensorBoardLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def _step(trainer: lightning.Trainer) -> int:
    """Return the step of the scalars that Lightning logs at the same validation."""
    return max(trainer.global_step - 1, 0)
