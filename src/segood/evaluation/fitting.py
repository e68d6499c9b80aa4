"""Whether the labels of a data set mean what the outputs of a network mean.

In: a data set, a network. Out: nothing, or an error that names both sides and the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segood.data.dataset import SegmentationDataset
from segood.errors import UsageError

if TYPE_CHECKING:
    from segood.models import SegmentationModel


def check_labels_fit(dataset: SegmentationDataset, model: SegmentationModel) -> None:
    """Raise `UsageError` unless labels and network speak of the same classes in the same order.

    Args:
        dataset: sets without classes of their own (OoD test sets, proxies) fit every network.
        model: the network; where its names are the generic `class_0`, `class_1`, ... only the number
            of classes is compared. Upper case, `_` and `-` make no difference.

    Raises:
        UsageError: another number of classes, or the first class that is called differently.
    """
    space = dataset.label_space
    if space is None or dataset.role != "closed_set":
        return
    network = f"the network {model.name or type(model.network).__name__}"
    remedy = "choose labels of the network's classes, or a network for these labels"
    if len(space.class_names) != model.num_classes:
        raise UsageError(
            f"{dataset.title} has labels of {len(space.class_names)} classes ({space.name}), "
            f"{network} has {model.num_classes}; {remedy}"
        )
    if _generic(model.class_names):
        return
    for index, (label, output) in enumerate(zip(space.class_names, model.class_names, strict=True)):
        if _plain(label) != _plain(output):
            raise UsageError(
                f"{dataset.title}: train id {index} is '{label}' in its labels ({space.name}), "
                f"but '{output}' in {network}; {remedy}"
            )


def name_classes(model: SegmentationModel, dataset: SegmentationDataset) -> None:
    """Give a model without names of its own those of the labels it is trained on, in place.

    Args:
        model: keeps its names unless they are the generic `class_0`, `class_1`, ...
        dataset: the training data, checked to fit.
    """
    if dataset.label_space is not None and _generic(model.class_names):
        model.class_names = dataset.label_space.class_names


def _generic(names: Sequence[str]) -> bool:
    return list(names) == [f"class_{i}" for i in range(len(names))]


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
