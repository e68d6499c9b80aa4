"""Four scores on two networks, one table with intervals; what is fitted never sees a test frame. 10 seconds.

python examples/05_compare_scores.py runs/examples     writes comparison/ with tables and report.html
"""

import sys
from pathlib import Path

from segood.evaluation.comparison.config import (
    ComparisonConfig,
    FrameSource,
    ScoreConfig,
    TestSet,
    ValidationConfig,
)
from segood.evaluation.comparison.run import compare
from segood.models.config import ModelConfig
from segood.reporting import build_comparison_report, format_comparison, write_comparison_tables

NETWORK = f"{Path(__file__).with_name('01_monitor_your_network.py')}:build"


def main(out: Path) -> None:
    weights, world = out / "finetuned" / "checkpoints", out / "world"
    streets, coco = str(world / "cityscapes"), str(world / "coco")
    config = ComparisonConfig(
        models={
            "before": ModelConfig(NETWORK, checkpoint=str(weights / "start.safetensors")),
            "after": ModelConfig(NETWORK, checkpoint=str(weights / "model.safetensors")),
        },
        baseline="before",
        scores={
            "entropy": ScoreConfig(),
            "msp": ScoreConfig(),
            "max_logit": ScoreConfig(),
            "standardized_max_logit": ScoreConfig(),  # its statistics come from `fitting`
        },
        datasets={
            "obstacles": TestSet(
                "lost_and_found", str(world / "lost_and_found"), "test", options={"protocol": "smiyc"}
            )
        },
        fitting=FrameSource("cityscapes", streets, "train", num_frames=8),
        validation=ValidationConfig(  # thresholds and options come from here
            street=FrameSource("cityscapes", streets, "val"),
            proxies=FrameSource("coco_proxies", coco, "train", options={"min_side": 128}, num_frames=4),
        ),
        num_draws=200,
    )
    results = compare(config, out / "comparison")
    print(format_comparison(results))
    write_comparison_tables(results, out / "comparison")
    print(f"page: {build_comparison_report(out / 'comparison')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
