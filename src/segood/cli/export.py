"""`segood export`: a run -> one file that a monitor runs from, without PyTorch."""

from __future__ import annotations

from typing import Literal

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, progress_bar, say, say_json

CONFIGS = ()


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "export",
        "Write a run's network, thresholds and meta classifier as one file, the network as ONNX.\n"
        "Before anything is written, the file is compared with PyTorch on real frames.",
        "segood export runs/demo/finetuned --out monitor.segood",
        usage="export RUN",
    )
    parser.add_argument("run", help="run directory, evaluated; calibrated, if rates are to be promised")
    parser.add_argument("--out", required=True, help="the file, ….segood")
    optional: list[tuple[str, type, str]] = [
        ("calibration", str, "calibration.json; the run's own, if it has one"),
        ("threshold", float, "entropy threshold, where there is no calibration"),
        ("probability_threshold", float, "segments are removed from this false-positive probability on"),
        ("frame_size", list[int], "[rows, columns] images are resized to; as in the evaluation if not given"),
        ("weights_licence", str, "licence of the weights, for the model card"),
        ("data_licence", str, "licence of the data, for the model card"),
        ("private_key", str, "PEM file of an Ed25519 key: sign the bundle"),
    ]
    for name, kind, text in optional:
        parser.add_argument(f"--{name}", type=kind | None, default=None, help=text)  # type: ignore[operator]
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        help="files or folders to compare with PyTorch on; the evaluation's frames if not given",
    )
    parser.add_argument("--num_frames", type=int, default=8, help="how many of these frames")
    parser.add_argument(
        "--allow_unfiltered", type=bool, default=False, help="export a run without meta classifier"
    )
    parser.add_argument(
        "--fixed_size",
        type=bool | None,
        default=None,
        help="the network takes frames of one size only; as the network needs if not given",
    )
    parser.add_argument(
        "--precision",
        type=Literal["float32", "int8"],
        default="float32",
        help="int8: smaller, no longer the same as PyTorch; by how much is written into the card",
    )
    parser.add_argument(
        "--quantization_images",
        nargs="+",
        default=[],
        help="files or folders to take 8-bit ranges from; the run's training frames if not given",
    )
    parser.add_argument("--json", action="store_true", help="print digest, parity and card as JSON")
    return parser


def run(arguments: Namespace) -> None:
    """Write the bundle, say its digest and how it compares."""
    from pathlib import Path

    from segood.deployment.export import ExportOptions, export_run

    def path(value: str | None) -> Path | None:
        return None if value is None else Path(value)

    options = ExportOptions(
        calibration=path(arguments.calibration),
        threshold=arguments.threshold,
        probability_threshold=arguments.probability_threshold,
        frame_size=_size(arguments.frame_size),
        images=[Path(image) for image in arguments.images],
        num_frames=arguments.num_frames,
        weights_licence=arguments.weights_licence,
        data_licence=arguments.data_licence,
        private_key=path(arguments.private_key),
        allow_unfiltered=arguments.allow_unfiltered,
        fixed_size=arguments.fixed_size,
        precision=arguments.precision,
        quantization_images=[Path(image) for image in arguments.quantization_images],
    )
    done = export_run(arguments.run, arguments.out, options, progress=progress_bar)
    if arguments.json:
        say_json({"path": str(done.path), "sha256": done.sha256, "size": done.size, "card": done.card})
        return
    parity = done.parity
    say(f"{done.path}: {done.size / 1e6:.1f} MB, SHA-256 {done.sha256}")
    if (size := done.card["settings"]["frame_size"]) is not None:
        say(f"frames: brought to {size[1]}×{size[0]}, whatever their size and shape")
    say(
        f"against PyTorch on {len(parity.frames)} frames: entropy within {parity.entropy_difference:.1e}, "
        f"{parity.num_matched} of {parity.num_objects} objects match, {parity.num_borderline} borderline"
    )
    say(f"next: segood predict photos/ --monitor {done.path} --out found; or segood serve {done.path}")


def _size(values: list[int] | None) -> tuple[int, int] | None:
    from segood.errors import UsageError

    if values is None:
        return None
    if len(values) != 2 or min(values) < 1:
        raise UsageError(f"`frame_size` must be [rows, columns], at least 1 each; got {values}")
    return values[0], values[1]
