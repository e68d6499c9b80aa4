"""The calibration set must be new to the network and to the meta classifier.

In: the calibration set, a run, its meta classifier. Out: one error that names what overlaps; else what could
not be checked, in words. Images are compared by the hash of their files: the same picture stored or resized
anew is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.dataset import SegmentationDataset
from segood.deployment.calibration.units import units_of
from segood.errors import DataError, SegoodError, UsageError
from segood.evaluation.provenance import HASH_DIGITS, image_hashes
from segood.files import file_hash
from segood.meta import MetaClassifier
from segood.segments.region import Region, describe_region, same_region, stored_region


def check_disjoint(
    dataset: SegmentationDataset,
    run: Path,
    stored: Mapping[str, Any],
    meta: MetaClassifier | None,
) -> list[str]:
    """Raise where a calibration image was used before; return what could not be checked.

    Args:
        dataset: the calibration set.
        run: run directory.
        stored: its `config.yaml`.
        meta: its meta classifier, if there is one.

    Raises:
        UsageError: an image is in the training, or the meta classifier was fitted on it.
        DataError: an image cannot be read.
    """
    hashes = image_hashes(dataset)
    by_hash = {digest: record.sample_id for digest, record in zip(hashes, dataset.records, strict=True)}
    unsure: list[str] = []
    root = stored.get("data_root", ".")
    if meta is not None:
        known = meta.provenance.get("images")
        if isinstance(known, Mapping):
            for key, fitted_on in known.items():
                _refuse(dataset, by_hash, fitted_on, f"the meta classifier was fitted on them ({key})")
        else:
            what = runs.read_config(run, runs.EVALUATION) if (run / runs.EVALUATION).exists() else {}
            fitted = what.get("datasets") or {}
            for key, described in fitted.items():
                reason = f"the meta classifier was fitted on them ({key})"
                unsure += _check_set(dataset, by_hash, described, what.get("data_root", root), reason)[1]
            if not fitted:
                unsure.append("what the meta classifier was fitted on is not written down in meta.json")
    trained_on = _training_sets(stored)
    if not trained_on:
        unsure.append("what the network was trained on is not written down in the run")
    for key, described in trained_on:
        opened, problem = _check_set(dataset, by_hash, described, root, f"the training used them ({key})")
        unsure += problem
        if opened is not None and opened.name == dataset.name:
            trained, own = _scenes(opened), _scenes(dataset)
            shared = [scene for scene in own if scene in trained]
            if shared:
                unsure.append(
                    f"{len(shared)} of its {len(own)} scenes have frames in the training, too ({key}; first "
                    f"{shared[0]}): the network knows them, so new ones may be harder"
                )
    return unsure


def check_same_region(region: Region | None, meta: MetaClassifier | None) -> None:
    """Raise `UsageError` unless the meta classifier was fitted on segments of the same region.

    One that does not tell its region was fitted on the whole image: there was no other way then.
    """
    if meta is None:
        return
    fitted = region_of(meta)
    if not same_region(region, fitted):
        raise UsageError(
            f"the region to calibrate is {describe_region(region)}, but the meta classifier was fitted on "
            f"segments of another one ({describe_region(fitted)}); evaluate the run with this `region` first"
        )


def region_of(meta: MetaClassifier) -> Region | None:
    """Return the region that a meta classifier's segments came from.

    Raises:
        DataError: what it says is no region.
    """
    try:
        return stored_region(meta.provenance.get("region"))
    except UsageError as error:
        raise DataError(f"meta.json: its `provenance` tells no region ({error}); evaluate again") from error


def _scenes(dataset: SegmentationDataset) -> list[str]:
    """Return the scenes or recordings that the layout tells, in order of their first frame."""
    units, words = units_of(dataset.name, [record.sample_id for record in dataset.records])
    return [] if words.startswith("frame") else list(dict.fromkeys(units))


def _training_sets(stored: Mapping[str, Any]) -> list[tuple[str, Any]]:
    proxies = (stored.get("proxies") or {}).get("dataset")
    found = {"street": stored.get("street"), "validation": stored.get("validation"), "proxies": proxies}
    return [(key, described) for key, described in found.items() if described]


def _check_set(
    dataset: SegmentationDataset, by_hash: Mapping[str, str], described: Any, root: str, reason: str
) -> tuple[SegmentationDataset | None, list[str]]:
    """Compare with a data set of the run, where it can still be opened."""
    try:
        other = DatasetConfig(**described).open(root)
        # Only files of equal size can be equal: large training sets need not be read.
        sizes = {record.image.stat().st_size for record in dataset.records}
        alike = [r.image for r in other.records if r.image.stat().st_size in sizes]
        hashes = [file_hash(path)[:HASH_DIGITS] for path in alike]
    except (SegoodError, TypeError, OSError) as error:
        name = described.get("name", "?") if isinstance(described, Mapping) else described
        return None, [f"{name}: not compared, it cannot be opened here ({' '.join(str(error).split())})"]
    _refuse(dataset, by_hash, hashes, reason)
    return other, []


def _refuse(
    dataset: SegmentationDataset, by_hash: Mapping[str, str], hashes: Iterable[str], reason: str
) -> None:
    shared = [by_hash[digest] for digest in hashes if digest in by_hash]
    if shared:
        raise UsageError(
            f"{len(shared)} of {len(dataset)} images of {dataset.title} cannot calibrate, since {reason}; "
            f"first {shared[0]}; use images that neither has seen"
        )
