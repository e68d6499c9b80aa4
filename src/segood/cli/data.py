"""`segood data check|prepare`: look at data sets, make them ready for training."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, make_sub_parser, progress_bar, say, say_json
from segood.errors import DataError


def build_parser() -> ArgumentParser:
    """Return the verb's parser with its sub-verbs."""
    parser = make_parser(
        "data",
        "Check data sets and prepare them for training.",
        "segood data check data/camvid\n  segood data prepare coco data/coco --cache data/coco_masks",
        usage="data check|prepare ...",
    )
    verbs = parser.add_subcommands(required=True, dest="verb")
    verbs.add_subcommand("check", _check_parser(), help="list the facts and faults of a data set")
    prepare = ArgumentParser(
        usage="segood data prepare cityscapes|coco ROOT ...",
        exit_on_error=False,
        description="Prepare a data set for training.",
    )
    verbs.add_subcommand("prepare", prepare, help="write what training needs")  # parents before children
    kinds = prepare.add_subcommands(required=True, dest="kind")
    kinds.add_subcommand("cityscapes", _cityscapes_parser(), help="labelIds -> labelTrainIds")
    kinds.add_subcommand("coco", _coco_parser(), help="filter the proxies, write their masks once")
    return parser


def run(arguments: Namespace) -> None:
    """Run the chosen sub-verb."""
    if arguments.verb == "check":
        _check(arguments.check)
        return
    kind = arguments.prepare.kind
    {"cityscapes": _prepare_cityscapes, "coco": _prepare_coco}[kind](arguments.prepare[kind])


def _check_parser() -> ArgumentParser:
    parser = make_sub_parser(
        "data",
        "check ROOT",
        "Recognise the layout under ROOT and list images, labels, label values, OoD objects,"
        " sizes, unpaired files, protocol and content hash. Example: segood data check data/camvid",
    )
    parser.add_argument("root", help="folder of the data set")
    parser.add_argument("--name", type=str | None, default=None, help="layout, where several would fit")  # type: ignore[operator]
    parser.add_argument("--split", type=str | None, default=None, help="one split; all if not given")  # type: ignore[operator]
    parser.add_argument(
        "--options",
        type=dict[str, Any],
        default={},
        help="of the layout, as in a configuration: '{role: closed_set, label_space: [road, other]}'",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _cityscapes_parser() -> ArgumentParser:
    parser = make_sub_parser(
        "data",
        "prepare cityscapes ROOT",
        "Write *_gtFine_labelTrainIds.png beside every *_gtFine_labelIds.png."
        " Example: segood data prepare cityscapes data/cityscapes",
    )
    parser.add_argument("root", help="folder with leftImg8bit/ and gtFine/")
    return parser


def _coco_parser() -> ArgumentParser:
    parser = make_sub_parser(
        "data",
        "prepare coco ROOT --cache FOLDER",
        "Filter the proxy images, write their object masks, the filter's report and a figure of"
        " the pixel frequencies. Example: segood data prepare coco data/coco --cache data/coco_masks",
    )
    parser.add_argument("root", help="folder with {split}2017/ and annotations/")
    parser.add_argument("--split", default="train", help="train or val")
    parser.add_argument("--cache", required=True, help="folder to write to")
    parser.add_argument("--excluded", default="cityscapes", help="preset of excluded classes")
    parser.add_argument("--min_side", type=int, default=480, help="smallest height and width, pixels")
    return parser


def _check(arguments: Namespace) -> None:
    from segood.data import check_dataset

    report = check_dataset(
        arguments.root, arguments.name, arguments.split, progress=progress_bar, **arguments.options
    )
    if arguments.json:
        say_json(report.to_dict())
    else:
        say(report.to_text())
    if not report.ok:
        raise DataError(f"{arguments.root} has faults; see `problems` above")


def _prepare_cityscapes(arguments: Namespace) -> None:
    from segood.data import prepare_cityscapes

    say(f"{prepare_cityscapes(arguments.root, progress=progress_bar)}")


def _prepare_coco(arguments: Namespace) -> None:
    from segood.data import prepare_coco

    prepared = prepare_coco(
        arguments.root,
        arguments.split,
        cache=arguments.cache,
        excluded=arguments.excluded,
        min_side=arguments.min_side,
    )
    say(prepared.filter_report.to_text())
    say(f"{prepared.num_written} masks written, {prepared.num_reused} kept: {prepared.masks}")
