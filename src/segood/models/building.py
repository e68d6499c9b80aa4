"""From an entry, a checkpoint and what the caller says to a model: whose word counts for what.

Enters: a `NetworkEntry`, the file's header and tensors, the caller's arguments. Leaves: a
`SegmentationModel` of the right shape, its weights not yet those of the file.

The caller's word goes before the file's, the file's before what comes with pretrained weights, that
before the entry's defaults. Where caller and file differ on shapes, loading says so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from segood.checks import check_choice
from segood.data.label_spaces import CITYSCAPES
from segood.errors import CheckpointError, UsageError
from segood.models.adapter import SegmentationModel
from segood.models.checkpoints import Checkpoint
from segood.models.matching import unwrap_keys
from segood.models.network import BuiltNetwork
from segood.models.preprocessing import Preprocessing
from segood.models.probing import check_forward, probe_num_channels
from segood.models.user_modules import build_user_network
from segood.models.zoo import NETWORKS, NetworkEntry
from segood.user_code import is_import_path

# more than the largest network here has, so that a file with wrong keys still gets the line that lists them
_MOST_MISSING = 200_000_000

PreprocessingChoice = Preprocessing | Mapping[str, Any] | None


def build_named(
    name: str,
    file: Checkpoint | None,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    preprocessing: PreprocessingChoice,
    options: Mapping[str, Any],
    allow_partial: bool,
) -> SegmentationModel:
    """Build a network of `list_models`.

    Args:
        name: its name.
        file: the weights it will get, if any; its header fills in what is not given.
        num_classes, class_names, preprocessing, options: the caller's word, see `load_model`.
        allow_partial: the file may be of another network.

    Raises:
        UsageError: an option does not exist, or breaks its rule.
        CheckpointError: the file is of another network.
    """
    entry = NETWORKS[name]
    for option in options:
        check_choice(f"option of {name}", option, entry.options)
    header = header_of(file)
    same = header.get("name") in (None, name)
    if header and not same and not allow_partial:
        assert file is not None, "it has a header"
        raise CheckpointError(f"{file.path} holds weights of {header['name']}, not of {name}")
    stored = _known_options(header, entry) if same else {}
    known = {**entry.options, **stored, **options}
    try:
        _check_kinds(entry, {**entry.options, **stored})
    except UsageError as error:
        assert file is not None, "it has a header"
        raise CheckpointError(
            f"{file.path} has a damaged segood header: {error}; save the model again"
        ) from error
    _check_kinds(entry, known)
    if header and not allow_partial and "pretrained" in known:
        known["pretrained"] = None  # all weights come from the file
    counted = header.get("num_classes")
    if file is not None and not header and not known.get("pretrained"):
        inferred = _read_off(entry, file, known)
        counted = inferred.pop("num_classes", None)
        known.update({key: value for key, value in inferred.items() if key not in options})
    q = _check_classes(num_classes, class_names, counted)
    if file is not None and not known.get("pretrained") and not allow_partial:
        _check_bulk(entry, file, q, known)
    built = entry.build(q, **known)
    if built.options is None:
        built = dataclasses.replace(built, options=known)
    if class_names is None and built.class_names is None and built.num_classes == len(CITYSCAPES):
        built = dataclasses.replace(built, class_names=CITYSCAPES.class_names)
    return _finish(name, built, header, class_names, preprocessing, entry.preprocessing)


def build_imported(
    import_path: str,
    file: Checkpoint | None,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    preprocessing: PreprocessingChoice,
    drop_channels: int,
    options: Mapping[str, Any],
) -> SegmentationModel:
    """Build a network from the user's code, and check it with one small forward pass.

    Args:
        import_path: `my_pkg.my_model:build` or `path/to/my_model.py:build`.
        file: the weights it will get, if any; its header fills in what is not given.
        num_classes, class_names, preprocessing, drop_channels, options: the caller's word, see `load_model`.

    Raises:
        UsageError: the code cannot be found, fails, or is no network with these classes.
    """
    header = header_of(file)
    same = is_import_path(header.get("name") or "")  # perhaps under another path: files move
    q = _check_classes(num_classes, class_names, header.get("num_classes"))
    drop_channels = drop_channels or header.get("drop_channels", 0)
    known = {**(header.get("options", {}) if same else {}), **options}
    module = build_user_network(import_path, q, known)
    if isinstance(module, SegmentationModel):
        drop_channels = drop_channels or module.drop_channels
        preprocessing = preprocessing or module.preprocessing
        class_names = class_names or module.class_names
        module = module.network
    if q is None:
        expected = choose_preprocessing(preprocessing, header, Preprocessing())
        q = probe_num_channels(module, expected) - drop_channels
    built = BuiltNetwork(module, q, drop_channels, options=known, random_weights=None)
    model = _finish(import_path, built, header, class_names, preprocessing, Preprocessing())
    check_forward(model)
    return model


def header_of(file: Checkpoint | None) -> Mapping[str, Any]:
    """Return what segood wrote into the file; nothing where there is no file, or it is another's."""
    return (file.header if file else None) or {}


def choose_preprocessing(
    given: PreprocessingChoice, header: Mapping[str, Any], default: Preprocessing
) -> Preprocessing:
    """Return the preprocessing that is given; a mapping changes the file's, or else the default."""
    if isinstance(given, Preprocessing):
        return given
    base = Preprocessing.from_dict(header["preprocessing"]) if "preprocessing" in header else default
    return base.changed(given) if given else base


def _finish(
    name: str,
    built: BuiltNetwork,
    header: Mapping[str, Any],
    class_names: Sequence[str] | None,
    preprocessing: PreprocessingChoice,
    default: Preprocessing,
) -> SegmentationModel:
    if class_names is None and header.get("num_classes") == built.num_classes:
        class_names = header.get("class_names")
    chosen = choose_preprocessing(preprocessing, header, built.preprocessing or default)
    multiple = math.lcm(chosen.size_multiple, built.size_multiple)
    model = SegmentationModel(
        built.module,
        num_classes=built.num_classes,
        class_names=class_names or built.class_names,
        preprocessing=dataclasses.replace(chosen, size_multiple=multiple),
        drop_channels=built.drop_channels,
        name=name,
        options=built.options,
    )
    model.random_weights = built.random_weights
    return model


def _known_options(header: Mapping[str, Any], entry: NetworkEntry) -> dict[str, Any]:
    return {key: value for key, value in header.get("options", {}).items() if key in entry.options}


def _check_kinds(entry: NetworkEntry, options: Mapping[str, Any]) -> None:
    """Raise unless options are of the kind of their defaults; None tells no kind."""
    for name, default in entry.options.items():
        for kind, words in (
            (bool, "true or false"),
            (int, "a whole number"),
            (float, "a number"),
            (str, "text"),
        ):
            if isinstance(default, kind):
                value = options[name]
                fits = isinstance(value, (int, float) if kind is float else kind)
                if not fits or isinstance(value, bool) != (kind is bool):
                    raise UsageError(f"`{name}` of {entry.name} must be {words}; got {value!r:.80}")
                break


def _check_bulk(
    entry: NetworkEntry, file: Checkpoint, num_classes: int | None, known: Mapping[str, Any]
) -> None:
    """Raise where a file describes a network far larger than itself, before memory is taken for it."""
    try:
        with torch.device("meta"):
            expected = entry.build(num_classes, **known).module.state_dict()
    except (RuntimeError, NotImplementedError):  # libraries that look at values while they build
        return
    wanted, found = (sum(t.numel() for t in tensors.values()) for tensors in (expected, file.tensors))
    if wanted > 2 * found + _MOST_MISSING:
        raise CheckpointError(
            f"{file.path} holds {found} numbers, but describes a network of {wanted}; save the model again"
        )


def _read_off(entry: NetworkEntry, file: Checkpoint, known: Mapping[str, Any]) -> dict[str, Any]:
    """Tell options and classes from the weights themselves."""
    build = partial(entry.build, None, **known)
    try:
        with torch.device("meta"):  # for its keys only: no memory, no time
            expected = build().module.state_dict()
    except (RuntimeError, NotImplementedError):  # libraries that look at values while they build
        expected = build().module.state_dict()
    inferred = entry.infer(unwrap_keys(file.tensors, expected))
    return {key: value for key, value in inferred.items() if key in known or key == "num_classes"}


def _check_classes(
    num_classes: int | None, class_names: Sequence[str] | None, counted: int | None
) -> int | None:
    q = num_classes if num_classes is not None else (len(class_names) if class_names else counted)
    if q is not None and q < 2:
        raise UsageError(f"`num_classes` must be at least 2; got {q}")
    return q
