"""How a configuration names a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segood.errors import UsageError

if TYPE_CHECKING:
    import segood.models  # a module, not a name: command line parsers execute this block


@dataclass
class ModelConfig:
    """A network and its weights.

    Args:
        name: a known network (espnetv2, torchvision), or the path of a checkpoint that segood wrote.
        checkpoint: file with weights; random ones where not given, which only a training takes.
        num_classes: classes of the output; those of the checkpoint or network where not given.
        options: further options of the network (for example `scale: 2.0`, `arch: deeplabv3_resnet50`).
    """

    name: str = "espnetv2"
    checkpoint: str | None = None
    num_classes: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def load(self, device: str = "cpu") -> segood.models.SegmentationModel:
        """Build the network and load its weights (see `segood.load_model` for what can go wrong)."""
        from segood.models import load_model

        return load_model(
            self.name, self.checkpoint, num_classes=self.num_classes, device=device, **self.options
        )

    def load_trained(self, option: str = "model", device: str = "cpu") -> segood.models.SegmentationModel:
        """Build the network and load its weights; refuse one whose weights would be random.

        Args:
            option: what the user calls this network, for the error.
            device: where the model goes.

        Raises:
            UsageError: neither a checkpoint nor the path of a file that holds weights is given.
        """
        from segood.models import list_models

        if self.checkpoint is None and self.name in list_models():
            raise UsageError(
                f"`{option}` {self.name} has no weights, its output would be random; "
                f"give --{option}.name FILE.safetensors or --{option}.checkpoint FILE"
            )
        return self.load(device)
