"""`segood train`: fine-tune a network with entropy maximisation."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, say, say_json
from segood.errors import DataError, UsageError
from segood.training.config import TrainConfig

CONFIGS = (TrainConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "train",
        "Fine-tune a network so that its softmax entropy is high on unknown objects.\n"
        "--dry_run checks data and weights and prints the plan, and trains nothing.",
        "segood train --config espnetv2_camvid_coco --data_root data --out runs/camvid\n"
        "  segood train --config paper_cityscapes_coco --data_root data --dry_run",
    )
    add_config(parser, shipped="trainings")
    parser.add_class_arguments(TrainConfig)
    parser.add_argument(
        "--out",
        type=str | None,  # type: ignore[arg-type]
        default=None,
        help="run directory, new or empty; required unless --dry_run",
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="print images per epoch, steps, expected memory, and what is missing (then exit code 1)",
    )
    parser.add_argument("--json", action="store_true", help="print the plan of --dry_run as JSON")
    return parser


def run(arguments: Namespace) -> None:
    """Train and say where the run lies; or say what would be trained."""
    values = {name: arguments[name] for name in TrainConfig.__dataclass_fields__}
    config = TrainConfig(**values)
    if arguments.dry_run:
        _plan(config, as_json=arguments.json)
        return
    if arguments.out is None:
        raise UsageError("`out` is required: the run directory, new or empty (or --dry_run)")
    if arguments.json:
        raise UsageError("`json` is for the plan of --dry_run; a run's numbers are in its directory")
    from segood.training import train
    from segood.training.trainer import is_first_process

    train(config, arguments.out, resume=arguments.resume)
    if is_first_process():
        say(f"trained network and logs: {arguments.out}\nnext: segood evaluate {arguments.out}")


def _plan(config: TrainConfig, *, as_json: bool) -> None:
    from segood.training.plan import plan_training

    plan = plan_training(config)
    if as_json:
        say_json(plan.to_dict())
    else:
        say(plan.to_text())
    if plan.missing:
        first = plan.missing[0]
        more = f", and {len(plan.missing) - 1} more" if len(plan.missing) > 1 else ""
        raise DataError(f"not everything is there: {first}{more}; see `missing` above")
