"""A loss that is not finite: the training stops, says where, and keeps the last good checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.faults.conftest import Expected
from tests.faults.injected import call, facts
from tests.faults.jobs import JOBS

from segood.models import SegmentationModel

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("step", [0, 1, 4])
def test_weights_that_become_nan(step: int, small_data: Path, expected: Expected, tmp_path: Path) -> None:
    """Three steps an epoch, two epochs: step 4 is the second of the second epoch."""
    job = JOBS["train"]
    argv = job.argv(small_data, tmp_path)
    forward, seen = SegmentationModel.forward, []

    def breaking(self: SegmentationModel, images: torch.Tensor) -> torch.Tensor:
        logits = forward(self, images)
        if self.training:
            seen.append(images)
            if len(seen) == step + 1:
                return logits * torch.nan
        return logits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationModel, "forward", breaking)
        said = call(*argv)
    line = said.error(f"the loss became nan in epoch {step // 3}, step {step % 3}, images ")
    assert "lower optimizer.lr, or go on with --resume" in line
    assert "_000000_000019" in line
    last = tmp_path / "run/checkpoints/last.ckpt"
    assert last.exists() == (step > 0)
    if step:
        checkpoint = torch.load(last, weights_only=True)
        assert checkpoint["global_step"] == step
        weights = checkpoint["state_dict"].values()
        assert all(torch.isfinite(value).all() for value in weights if value.is_floating_point())
    said = call(*argv, "--resume", "--optimizer.lr", "0.001")
    assert "was started with another `optimizer`; resume with the same configuration" in said.error()
    again = call(*argv, "--resume")
    assert again.code == 0, again.stderr
    assert facts(tmp_path) == expected("train")


def test_weights_that_overflow(small_data: Path, tmp_path: Path) -> None:
    """Without any patch: a learning rate that is far too high, again and again."""
    argv = (*JOBS["train"].argv(small_data, tmp_path), "--optimizer.name", "sgd", "--optimizer.lr", "1e30")
    for words in ((), ("--resume",)):
        line = call(*argv, *words).error("the loss became ", "lower optimizer.lr")
        assert ", images " in line
    assert not (tmp_path / "run/checkpoints/model.safetensors").exists()
