"""Put the tensors of a checkpoint into a network: strictly, with a report that can be acted on.

Enters: a `Checkpoint` and a `SegmentationModel`. Leaves: the model with these weights, or one error
that lists what is missing, unexpected or of another shape. Nothing is loaded unless all fits; on request,
what fits is loaded, and a report says what does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from segood.errors import CheckpointError
from segood.models.adapter import SegmentationModel
from segood.models.checkpoints import Checkpoint, read_checkpoint, shorten

# what trainers and compilers put before the keys of the network they wrap
_WRAPPER_PARTS = {"module", "_orig_mod", "model", "network", "net"}
_TRAINER_PARTS = {"model", "network", "net"}


@dataclass(frozen=True)
class Mismatch:
    """How a state dict differs from what a network expects.

    Attributes:
        missing: keys that the network has and the checkpoint has not.
        unexpected: keys that the checkpoint has and the network has not.
        reshaped: (key, shape in the checkpoint, shape in the network).
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"{len(self.missing)} missing: {shorten(group_keys(self.missing))}")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} unexpected: {shorten(group_keys(self.unexpected))}")
        if self.reshaped:
            listed = [f"{key} {_by(found)} instead of {_by(wanted)}" for key, found, wanted in self.reshaped]
            parts.append(f"{len(listed)} of another shape: {shorten(listed, limit=3)}")
        return "; ".join(parts)


@dataclass(frozen=True)
class LoadReport:
    """What became of the tensors of a checkpoint.

    Attributes:
        loaded: how many tensors of the network have the checkpoint's values now.
        total: how many tensors the network has.
        mismatch: what did not fit.
    """

    loaded: int
    total: int
    mismatch: Mismatch

    @property
    def kept(self) -> tuple[str, ...]:
        """Keys of the network that have the values they had before."""
        return (*self.mismatch.missing, *(key for key, *_ in self.mismatch.reshaped))

    def __str__(self) -> str:
        text = f"{self.loaded} of {self.total} tensors loaded"
        return f"{text}; {self.mismatch}" if self.mismatch else text


def group_keys(keys: Collection[str], limit: int = 5) -> list[str]:
    """List keys; where they are many, by the part of the network they belong to, with their number.

    Example:
        >>> group_keys([f"decoder.{i}.weight" for i in range(9)] + ["head.bias"])
        ['decoder.* (9)', 'head.bias']
    """
    if len(keys) <= limit:
        return list(keys)
    split = [key.split(".") for key in keys]
    depth = 1  # behind what all have in common
    while all(len(parts) > depth for parts in split) and len({tuple(p[:depth]) for p in split}) == 1:
        depth += 1
    groups: dict[str, list[str]] = {}
    for key, parts in zip(keys, split, strict=True):
        groups.setdefault(".".join(parts[:depth]), []).append(key)
    return [f"{name}.* ({len(found)})" if len(found) > 1 else found[0] for name, found in groups.items()]


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Mismatch:
    """Compare the tensors of a checkpoint with those a network expects, by key and shape.

    The batch counter of batch-norm may be missing: files older than PyTorch 0.4.1 have none, and
    it changes no output.
    """
    missing = [key for key in expected if key not in found and _is_learnt(key)]
    reshaped = [
        (key, tuple(found[key].shape), tuple(expected[key].shape))
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    return Mismatch(tuple(missing), tuple(key for key in found if key not in expected), tuple(reshaped))


def load_weights(
    model: SegmentationModel,
    checkpoint: Checkpoint | str | Path,
    *,
    ignored: Iterable[str] = (),
    allow_partial: bool = False,
) -> LoadReport:
    """Load a checkpoint into a model, strictly unless told otherwise.

    Args:
        model: gets the weights, in place.
        checkpoint: a file, or what `read_checkpoint` made of it.
        ignored: beginnings of keys that the checkpoint may hold and the network does without.
        allow_partial: load what fits by key and shape, and leave the rest of the network as it is.

    Returns:
        What was loaded and what did not fit; the latter is empty unless `allow_partial`.

    Raises:
        CheckpointError: the file cannot be read (see `load_state_dict_file`), is for another number
            of classes, or does not fit key by key and shape by shape; with `allow_partial`, nothing fits.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = read_checkpoint(checkpoint)
    expected = {k: v for k, v in model.network.state_dict().items() if isinstance(v, Tensor)}
    found = unwrap_keys(checkpoint.tensors, expected)
    skipped = tuple(ignored)
    found = (
        {k: v for k, v in found.items() if k in expected or not k.startswith(skipped)} if skipped else found
    )
    mismatch = compare(found, expected)
    network = model.name or type(model.network).__name__
    fitting = {k: v for k, v in found.items() if k in expected and v.shape == expected[k].shape}
    report = LoadReport(len(fitting), len(expected), mismatch)
    if allow_partial:
        if not any(_is_learnt(key) for key in fitting):
            raise CheckpointError(
                f"nothing in {checkpoint.path} fits the network {network} "
                f"({len(expected)} tensors): {mismatch}"
            )
    elif mismatch:
        raise _refusal(model, network, checkpoint.path, report)
    model.network.load_state_dict(fitting, strict=False)  # compared above
    return report


def _is_learnt(key: str) -> bool:
    return not key.endswith("num_batches_tracked")


def _refusal(model: SegmentationModel, network: str, path: Path, report: LoadReport) -> CheckpointError:
    channels = model.num_classes + model.drop_channels
    given = _channels_of_checkpoint(report.mismatch, channels)
    if given is not None:
        return CheckpointError(
            f"{path} has {given} output channels (classes), the network {network} has {channels}; "
            f"build the network for the checkpoint's classes, or use a checkpoint with {channels}, "
            "or load all but the head with allow_partial"
        )
    partly = "" if report.loaded == 0 else ", or load what fits with allow_partial"
    return CheckpointError(
        f"{path} does not fit the network {network} ({report.total} tensors): {report.mismatch}; "
        f"check the network's name and options against the checkpoint's{partly}"
    )


def unwrap_keys(found: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """Strip what wrappers put before the keys (`module.`, Lightning's `model.network.`, ...).

    Of all such beginnings the one with most expected keys wins, the shortest of equals. Behind a
    trainer's attribute, the tensors beside it (of its loss, its metrics) are left out.

    Example:
        >>> sorted(unwrap_keys({"module.a": 1, "module.b": 2}, {"a", "b"}))
        ['a', 'b']
    """
    prefixes = {""}
    for key in found:
        parts = key.split(".")
        depth = 0
        while depth < len(parts) - 1 and parts[depth] in _WRAPPER_PARTS:
            depth += 1
            prefixes.add(".".join(parts[:depth]) + ".")
    best = max(prefixes, key=lambda p: (sum(p + key in found for key in expected), -len(p)))
    is_trainer = bool(_TRAINER_PARTS & set(best.split(".")))
    return {
        key.removeprefix(best): value
        for key, value in found.items()
        if key.startswith(best) or not is_trainer
    }


def _channels_of_checkpoint(mismatch: Mismatch, channels: int) -> int | None:
    """Tell the checkpoint's number of output channels where that is what does not fit.

    The last of the network's tensors with `channels` rows belongs to its head.
    """
    if mismatch.missing or mismatch.unexpected:
        return None
    heads = [(found, wanted) for _, found, wanted in mismatch.reshaped if wanted and wanted[0] == channels]
    if not heads or len(heads[-1][0]) != len(heads[-1][1]):
        return None
    found, wanted = heads[-1]
    return found[0] if found[1:] == wanted[1:] and found[0] != channels else None


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"
