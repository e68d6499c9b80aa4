"""Teach the network of 01 to doubt: a drawn world, ordinary training, fine-tuning with proxies. 20 seconds.

So short a training shows the effect and gives no good network: its mIoU stays near 0.2.

    python examples/02_fine_tune.py runs/examples     writes world/, baseline/ and finetuned/ there
"""

import sys
from pathlib import Path

from segood.data import DatasetConfig
from segood.data.synthetic import write_world
from segood.evaluation.config import EvaluationConfig
from segood.models.config import ModelConfig
from segood.training import TrainConfig, train
from segood.training.config import AugmentationConfig, LossConfig, OptimizerConfig, ProxyConfig

NETWORK = f"{Path(__file__).with_name('01_monitor_your_network.py')}:build"


def main(out: Path) -> None:
    counts = {"num_train": 32, "num_val": 4, "num_proxies": 12, "num_lost_and_found": 12}
    world = write_world(out / "world", seed=0, size=(128, 256), num_fishyscapes=4, **counts)
    streets = DatasetConfig("cityscapes", str(world.cityscapes), "train")
    common = {"augmentation": AugmentationConfig(crop_size=(128, 192)), "batch_size": 4, "num_workers": 0}

    baseline = TrainConfig(
        streets,
        ModelConfig(NETWORK, num_classes=19),
        loss=LossConfig(ood_weight=0.0),  # λ = 0: ordinary cross-entropy
        optimizer=OptimizerConfig("adam", lr=0.01, schedule="poly"),
        epochs=16,
        **common,
    )
    train(baseline, out / "baseline", progress=False)

    proxies = DatasetConfig("coco_proxies", str(world.coco), "train", options={"min_side": 128})
    laf = str(world.lost_and_found)
    obstacles = DatasetConfig("lost_and_found", laf, "test", options={"protocol": "smiyc"})
    finetuned = TrainConfig(
        streets,
        ModelConfig(NETWORK, checkpoint=str(out / "baseline" / "checkpoints" / "model.safetensors")),
        proxies=ProxyConfig(proxies, ratio=1.0, mode="paste", validation_share=0.0),
        loss=LossConfig(ood_weight=0.9, normalization="pooled"),
        optimizer=OptimizerConfig("adam", lr=0.002, schedule="poly"),
        evaluation=EvaluationConfig(  # what example 03 will do with this run
            datasets={"obstacles": obstacles},
            closed_set={"streets": DatasetConfig("cityscapes", str(world.cityscapes), "val")},
        ),
        epochs=8,
        **common,
    )
    train(finetuned, out / "finetuned", progress=False)
    print(f"before: {out / 'finetuned/checkpoints/start.safetensors'}")
    print(f"after:  {out / 'finetuned/checkpoints/model.safetensors'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
