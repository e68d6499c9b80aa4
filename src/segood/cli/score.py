"""`segood score`: write OoD score maps, as the public benchmark reads them."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, add_processes, make_parser, progress_bar, say
from segood.data.config import DatasetConfig
from segood.models.config import ModelConfig

CONFIGS = (DatasetConfig, ModelConfig)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "score",
        "Write one float16 score map per frame: OUT/anomaly_p/METHOD/DATASET/FRAME.hdf5, array `value`.\n"
        "Frames without public labels are scored too; finished files of the same network and score are kept."
        " Those of others stop the verb.",
        "segood score --model.name runs/camvid/checkpoints/model.safetensors"
        " --dataset.name road_anomaly_21 --dataset.root data/road_anomaly_21 --out scores",
    )
    add_config(parser)
    parser.add_argument("--model", type=ModelConfig, help="trained network: --model.name FILE.safetensors")
    parser.add_argument("--dataset", type=DatasetConfig)
    parser.add_argument(
        "--score", default="entropy", help="OoD score, higher = more unknown: a name, or my_score.py:MyScore"
    )
    parser.add_argument(
        "--method", type=str | None, default=None, help="folder name; the score's if not given"
    )  # type: ignore[operator]
    parser.add_argument("--out", required=True, help="folder to write to")
    add_processes(parser)
    return parser


def run(arguments: Namespace) -> None:
    """Write the score maps and say where they are."""
    from segood.evaluation.processes import Team, check_processes
    from segood.evaluation.score_maps import export_scores
    from segood.evaluation.score_processes import ScoreRequest, export_in_processes

    check_processes(arguments.processes)
    model, team = arguments.model or ModelConfig(), Team.of_environment()
    if arguments.processes > 1 and team.processes == 1:
        what = (model, arguments.dataset, arguments.out, arguments.score, arguments.method)
        folder = export_in_processes(ScoreRequest(*what), arguments.processes, progress=progress_bar)
    else:
        folder = export_scores(
            model.load_trained(),
            arguments.dataset.open(),
            arguments.out,
            score=arguments.score,
            method=arguments.method,
            team=team,
            progress=progress_bar,
        )
    if team.rank == 0:
        say(f"score maps: {folder}")
