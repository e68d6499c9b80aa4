"""`segood predict`: images -> overlays and a JSON of unknown objects."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json
from segood.errors import DataError
from segood.models.config import ModelConfig

CONFIGS = (ModelConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "predict",
        "Find unknown objects in images: OUT/objects.json and one overlay per image.\n"
        "Images that cannot be read are listed in objects.json; the others are done all the same.",
        "segood predict photos/ --model.name runs/demo/finetuned/checkpoints/model.safetensors"
        " --meta runs/demo/finetuned/meta.json --out found",
        usage="predict IMAGE_OR_FOLDER ...",
    )
    add_config(parser)
    parser.add_argument("images", nargs="+", help="image files, or folders of images")
    parser.add_argument("--model", type=ModelConfig, help="trained network: --model.name FILE.safetensors")
    parser.add_argument("--score", default="entropy", help="OoD score")
    parser.add_argument(
        "--threshold", type=float, default=0.7, help="a pixel is OoD where its score reaches this"
    )
    parser.add_argument(
        "--meta", type=str | None, default=None, help="meta.json of a run; filters false alarms"
    )  # type: ignore[operator]
    parser.add_argument("--out", required=True, help="folder: new, empty, or of an unfinished `predict`")
    parser.add_argument("--json", action="store_true", help="print the objects as JSON too")
    return parser


def run(arguments: Namespace) -> None:
    """Write overlays and objects, say what was found."""
    from segood.deployment import Monitor, find_images, predict_images

    images = find_images(arguments.images)
    model = (arguments.model or ModelConfig()).load_trained()
    monitor = Monitor(model, score=arguments.score, threshold=arguments.threshold, meta=arguments.meta)
    found = predict_images(monitor, images, arguments.out, progress=progress_bar)
    if arguments.json:
        say_json(found)
    else:
        objects, done = sum(len(f["objects"]) for f in found["images"]), len(found["images"])
        say(f"{objects} unknown objects in {done} images; objects.json and overlays: {arguments.out}")
    if found["failed"]:
        count, first = len(found["failed"]), found["failed"][0]
        raise DataError(f"{count} of {len(images)} images failed, first {first['image']}: {first['reason']}")
