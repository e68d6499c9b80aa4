"""What the results say about the networks and data sets they belong to, hashes included.

In: a network or an open data set. Out: `ModelInfo`, `DatasetInfo`, the SHA-256 of a network's weights.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from segood.data.dataset import SegmentationDataset
from segood.evaluation.results import DatasetInfo, ModelInfo
from segood.files import file_hash

if TYPE_CHECKING:
    from segood.models import SegmentationModel


def describe_dataset(key: str, dataset: SegmentationDataset, num_images_with_ood: int = 0) -> DatasetInfo:
    """Return what the results say about a data set; hashes its files."""
    return DatasetInfo(
        key=key,
        title=dataset.title,
        protocol=dataset.protocol,
        num_images=len(dataset),
        num_images_with_ood=num_images_with_ood,
        resolution=dataset.resolution,
        content_hash=dataset.content_hash(),
    )


def describe_model(key: str, title: str, model: SegmentationModel, checkpoint: Path | None) -> ModelInfo:
    """Return what the results say about a network; hashes its checkpoint file."""
    return ModelInfo(
        key=key,
        title=title,
        network=model.name or type(model.network).__name__,
        class_names=list(model.class_names),
        checkpoint=checkpoint.name if checkpoint else None,
        sha256=file_hash(checkpoint) if checkpoint else None,
    )


def weights_hash(model: SegmentationModel) -> str:
    """Return the SHA-256 (hexadecimal) over name, type, shape and bytes of all tensors of the state dict.

    Equal weights have equal hashes, whatever file they came from.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\t{tensor.dtype}\t{tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
