"""Any folder: `images/` with `labels_masks/` or `labels/`, and a mapping that says what label values mean.

In: the root folder and the mapping. Out: frames of the role asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from segood.checks import check_choice
from segood.data.dataset import PairedDataset, Role
from segood.data.index import visible_folders
from segood.data.label_spaces import LabelSpace, get_label_space, own_label_space
from segood.data.lookup import LabelLookup
from segood.data.paired_folders import IMAGES, OOD_MAPPING, find_label_folder, index_folders
from segood.data.splits import check_root, choose_split
from segood.errors import DataError, UsageError
from segood.types import IGNORE

EXPECTED = "images/ and labels_masks/ (or labels/)"


def folder_splits(root: Path) -> list[str]:
    """Return the subfolders of `images/`; images that lie in it directly belong to no split."""
    return [folder.name for folder in visible_folders(root / IMAGES)]


def open_folder(
    root: str | Path,
    split: str | None = None,
    *,
    mapping: Mapping[int, int] | None = None,
    role: Role = "ood",
    label_space: str | Sequence[str] | LabelSpace | None = None,
    title: str | None = None,
    resize: tuple[int, int] | None = None,
    allow_unlabeled: bool = False,
    strict: bool = True,
) -> PairedDataset:
    """Open a folder of images and label maps.

    Args:
        root: folder that holds `images/` and `labels_masks/` or `labels/`; a label has its image's stem,
            plain or followed by `_labels_semantic`, `_labels`, `_label` or `_mask`.
        split: subfolder of both; `None` takes everything below them.
        mapping: `{label value: target value}`. Defaults: for `ood` 0, 1 and 255 as they are; for
            `closed_set` the train ids of `label_space` and 255 as they are.
        role: `ood`, `closed_set` or `proxy`.
        label_space: `cityscapes`, `camvid`, the names of your classes by train id, or a `LabelSpace`; for
            `closed_set`.
        title: name in tables; default is the root folder's name.
        resize: (H,W) to which frames and labels are brought.
        allow_unlabeled: keep frames without label; their target is `None`.
        strict: raise for files without partner.

    Returns:
        data set of the role asked for.

    Raises:
        DataError: missing root, other layout, files without partner, no frames.
        UsageError: no such split or role, or a mapping is needed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name, mode in (("images", "RGB"), ("labels", "L")):
        ...         (Path(root) / name).mkdir()
        ...         Image.new(mode, (4, 2), 7 if mode == "L" else 0).save(Path(root) / name / "a.png")
        ...     sample = open_folder(root, mapping={7: 1})[0]
        >>> sample.image.shape, sample.target.tolist(), sample.sample_id
        ((2, 4, 3), [[1, 1, 1, 1], [1, 1, 1, 1]], 'a')
    """
    check_choice("role", role, ("ood", "closed_set", "proxy"))
    space = _label_space(label_space)
    lookup = LabelLookup(*_mapping_and_rule(mapping, role, space))
    folder = check_root("folder", root, EXPECTED)
    if not (folder / IMAGES).is_dir():
        raise DataError(f"folder at {folder}: layout not found; expected {EXPECTED}")
    images, labels = folder / IMAGES, find_label_folder(folder)
    truth = None if labels is None else folder / labels
    if split is not None:
        present = folder_splits(folder) or ["(none, leave the split out)"]
        choose_split("folder", folder, split, present, expected=EXPECTED)
        images, truth = images / split, None if truth is None else truth / split
    shown = ", ".join(f"{value}->{target}" for value, target in sorted(lookup.mapping.items())[:8])
    return PairedDataset(
        index_folders(folder, images, truth),
        lookup,
        allow_unlabeled=allow_unlabeled,
        strict=strict,
        name="folder",
        title=title or folder.resolve().name,
        role=role,
        protocol=f"own mapping {shown}{', …' if len(lookup.mapping) > 8 else ''}",
        root=folder,
        split=split,
        label_space=space,
        resize=resize,
    )


def _label_space(given: str | Sequence[str] | LabelSpace | None) -> LabelSpace | None:
    if given is None or isinstance(given, LabelSpace):
        return given
    return get_label_space(given) if isinstance(given, str) else own_label_space(given)


def _mapping_and_rule(
    mapping: Mapping[int, int] | None, role: Role, space: LabelSpace | None
) -> tuple[Mapping[int, int], str]:
    if mapping is not None:
        return (
            mapping,
            f"the mapping given knows {', '.join(str(key) for key in mapping)}; add the value to it",
        )
    if role == "ood":
        return OOD_MAPPING, "0 is in-distribution, 1 OoD, 255 ignored; pass `mapping` for other values"
    if space is None:
        raise UsageError(
            f"`mapping` or `label_space` is needed for role {role!r}: what do the label values mean?"
        )
    known = {**{i: i for i in range(len(space))}, IGNORE: IGNORE}
    return (
        known,
        f"train ids of {space.name} are 0..{len(space) - 1}, 255 ignored; pass `mapping` for other values",
    )
