"""`segood predict`: images -> overlays and a JSON of unknown objects."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json
from segood.models.config import ModelConfig

CONFIGS = (ModelConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "predict",
        "Find unknown objects in images: OUT/objects.json and one overlay per image.",
        "segood predict photos/ --model.name runs/demo/checkpoints/model.safetensors"
        " --meta runs/demo/meta.json --out found",
        usage="predict IMAGE_OR_FOLDER ...",
    )
    add_config(parser)
    parser.add_argument("images", nargs="+", help="image files, or folders of images")
    parser.add_argument("--model", type=ModelConfig)
    parser.add_argument("--score", default="entropy", help="OoD score")
    parser.add_argument(
        "--threshold", type=float, default=0.7, help="a pixel is OoD where its score reaches this"
    )
    parser.add_argument(
        "--meta", type=str | None, default=None, help="meta.json of a run; filters false alarms"
    )  # type: ignore[operator]
    parser.add_argument("--out", required=True, help="folder to write to, new or empty")
    parser.add_argument("--json", action="store_true", help="print the objects as JSON too")
    return parser


def run(arguments: Namespace) -> None:
    """Write overlays and objects, say what was found."""
    from segood.deployment import Monitor, find_images, predict_images

    images = find_images(arguments.images)
    monitor = Monitor(
        arguments.model.load(), score=arguments.score, threshold=arguments.threshold, meta=arguments.meta
    )
    found = predict_images(monitor, images, arguments.out, progress=progress_bar)
    if arguments.json:
        say_json(found)
    else:
        objects = sum(len(f["objects"]) for f in found["images"])
        say(f"{objects} unknown objects in {len(images)} images; objects.json and overlays: {arguments.out}")
