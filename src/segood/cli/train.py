"""`segood train`: fine-tune a network with entropy maximisation."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, say
from segood.training.config import TrainConfig

CONFIGS = (TrainConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "train",
        "Fine-tune a network so that its softmax entropy is high on unknown objects.",
        "segood train --config espnetv2_camvid_coco --data_root data --out runs/camvid",
    )
    add_config(parser)
    parser.add_class_arguments(TrainConfig)
    parser.add_argument("--out", required=True, help="run directory, new or empty")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    return parser


def run(arguments: Namespace) -> None:
    """Train and say where the run lies."""
    from segood.training import train

    values = {name: arguments[name] for name in TrainConfig.__dataclass_fields__}
    train(TrainConfig(**values), arguments.out, resume=arguments.resume)
    say(f"trained network and logs: {arguments.out}\nnext: segood evaluate {arguments.out}")
