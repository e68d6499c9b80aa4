"""What `check_dataset` lists for a COCO folder.

In: the root and a split. Out: `DatasetFacts`, built from `coco_facts`; files are compared with the
annotations, headers are read, no pixel is decoded.
"""

from __future__ import annotations

from pathlib import Path

from segood.data.check_report import DatasetFacts
from segood.data.coco import coco_facts
from segood.data.dataset import combine_hashes, record_fingerprint
from segood.data.images import is_misnamed, sniff_format
from segood.data.index import image_files
from segood.data.sample import Record

_SHOWN_ELSEWHERE = (
    *("split", "annotation_file", "images", "annotations", "sizes", "images_missing_on_disk"),
    *("images_not_in_json", "unreadable_images", "images_of_other_size"),
)


def check_coco(root: Path, split: str | None) -> DatasetFacts:
    """Return the facts of one split; `None` is `train`."""
    split = split or "train"
    facts = coco_facts(root, split)
    annotations = Path(facts["annotation_file"])
    missing, not_named = facts["images_missing_on_disk"], facts["images_not_in_json"]
    hashes = [("annotations", *record_fingerprint(Record("", annotations, annotations)))]
    hashes += [(file.name, file.stat().st_size, "-") for file in image_files(root / f"{split}2017")]
    return DatasetFacts(
        name="coco_proxies",
        title="COCO proxies",
        role="proxy",
        root=str(root),
        split=split,
        variant=f"{split}2017/ with annotations/instances_{split}2017.json",
        protocol="annotated objects, crowd regions included, are OoD; the rest is as `background` says",
        num_images=facts["images"],
        num_labels=facts["annotations"],
        sizes=facts["sizes"],
        images_without_label=tuple(not_named),
        labels_without_image=tuple(missing),
        unlabeled_allowed=True,
        misnamed=tuple(
            f"{split}2017/{file.name} holds {sniff_format(file)}"
            for file in image_files(root / f"{split}2017")
            if is_misnamed(file)
        ),
        problems=(
            *(f"{name}: damaged or truncated image; fetch it again" for name in facts["unreadable_images"]),
            *(f"{name}: size differs from the annotations" for name in facts["images_of_other_size"]),
        ),
        content_hash=combine_hashes(hashes),
        coco={key: value for key, value in facts.items() if key not in _SHOWN_ELSEWHERE},
    )
