"""`segood models list|info|fetch`: the networks segood knows by name, and their public weights."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, make_sub_parser, say, say_json

if TYPE_CHECKING:
    import segood.models.weights
    import segood.models.zoo


def build_parser() -> ArgumentParser:
    """Return the verb's parser with its sub-verbs."""
    parser = make_parser(
        "models",
        "List the networks segood knows by name, tell all about one, fetch public weights.\n"
        "Fetched weights go by their name: --model.checkpoint espnetv2_s_2.0_city",
        "segood models list\n  segood models info espnetv2\n  segood models fetch espnetv2_s_2.0_city",
        usage="models list|info|fetch ...",
    )
    verbs = parser.add_subcommands(required=True, dest="verb")
    verbs.add_subcommand("list", _list_parser(), help="networks and public weights, one line each")
    verbs.add_subcommand("info", _info_parser(), help="all about a network or its weights")
    verbs.add_subcommand("fetch", _fetch_parser(), help="download public weights, or take a local file")
    return parser


def run(arguments: Namespace) -> None:
    """Run the chosen sub-verb."""
    {"list": _list, "info": _info, "fetch": _fetch}[arguments.verb](arguments[arguments.verb])


def _sub_parser(usage: str, description: str) -> ArgumentParser:
    parser = make_sub_parser("models", usage, description)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _list_parser() -> ArgumentParser:
    return _sub_parser("list", "List networks and public weights. Example: segood models list")


def _info_parser() -> ArgumentParser:
    parser = _sub_parser(
        "info NAME",
        "Tell all about a network (options, preprocessing, source) or public weights (licence, link, where"
        " they are here). Example: segood models info espnetv2",
    )
    parser.add_argument("name", help="of a network or of weights, see `segood models list`")
    return parser


def _fetch_parser() -> ArgumentParser:
    parser = _sub_parser(
        "fetch NAME",
        "Download public weights, continue an interrupted download, check size and SHA-256. A file that is"
        " here and good is kept. Example: segood models fetch espnetv2_s_2.0_city",
    )
    optional = str | None
    parser.add_argument("name", help="of the weights, see `segood models list`")
    parser.add_argument("--from", type=optional, default=None, help="a local copy, instead of the network")  # type: ignore[arg-type]
    parser.add_argument("--to", type=optional, default=None, help="folder; the user's cache if not given")  # type: ignore[arg-type]
    parser.add_argument("--url", type=optional, default=None, help="a mirror, checked just the same")  # type: ignore[arg-type]
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds of silence that end an attempt")
    parser.add_argument("--retries", type=int, default=5, help="further attempts")
    return parser


def _list(arguments: Namespace) -> None:
    from segood.models.weights import PUBLIC_WEIGHTS, weights_path
    from segood.models.zoo import NETWORKS

    if arguments.json:
        say_json(
            {
                "networks": [_network_facts(entry) for entry in NETWORKS.values()],
                "weights": [_weights_facts(weights) for weights in PUBLIC_WEIGHTS.values()],
            }
        )
        return
    say("networks (segood models info NAME tells their options):")
    for entry in NETWORKS.values():
        say(f"  {entry.name:<38} {entry.summary}")
    say("\npublic weights (segood models fetch NAME):")
    for weights in PUBLIC_WEIGHTS.values():
        state = "fetched" if weights_path(weights).is_file() else _as_size(weights.size)
        say(
            f"  {weights.name:<38} {state:<8}  {weights.licence.split(' (')[0]}\n  {'':<38} {weights.summary}"
        )


def _info(arguments: Namespace) -> None:
    from segood.checks import check_choice
    from segood.models.weights import PUBLIC_WEIGHTS
    from segood.models.zoo import NETWORKS

    check_choice("name", arguments.name, [*NETWORKS, *PUBLIC_WEIGHTS])
    if arguments.name in NETWORKS:
        facts = _network_facts(NETWORKS[arguments.name])
    else:
        facts = _weights_facts(PUBLIC_WEIGHTS[arguments.name])
    if arguments.json:
        say_json(facts)
        return
    for key, value in facts.items():
        say(f"{key.replace('_', ' '):<14} {_as_text(value)}")


def _fetch(arguments: Namespace) -> None:
    from segood.models.fetch import Patience, fetch_weights
    from segood.models.weights import get_weights

    weights = get_weights(arguments.name)
    with _byte_bar(weights.file) as report:
        fetched = fetch_weights(
            weights,
            folder=arguments.to,
            local_file=arguments["from"],
            url=arguments.url,
            patience=Patience(arguments.timeout, arguments.retries),
            report=report,
            tell=_tell,
        )
    if arguments.json:
        say_json({"name": weights.name, **dataclasses.asdict(fetched), "path": str(fetched.path)})
        return
    say(f"{'was there already' if fetched.was_there else 'fetched'}: {fetched.path}")
    if fetched.verified:
        say(f"SHA-256 as expected: {fetched.sha256}")
    else:
        say(f"SHA-256: {fetched.sha256} (none is published to compare with; it fits {weights.network})")
    say(f"licence: {weights.licence}")
    checkpoint = fetched.path if arguments.to else weights.name
    say(f'use: segood.load_model("{weights.network}", checkpoint="{checkpoint}")')


def _network_facts(entry: segood.models.zoo.NetworkEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "options": entry.options,
        "preprocessing": entry.preprocessing.to_dict(),
        "label_space": entry.label_space,
        "licence": entry.licence,
        "source": entry.source,
        "weights": [weights.name for weights in entry.weights],
    }


def _weights_facts(weights: segood.models.weights.PublicWeights) -> dict[str, Any]:
    from segood.models.weights import weights_path

    path = weights_path(weights)
    return {**dataclasses.asdict(weights), "path": str(path), "fetched": path.is_file()}


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none known" if value is None else str(value) or "none"


def _as_size(size: int | None) -> str:
    return "size ?" if size is None else f"{size / 1e6:.1f} MB"


def _tell(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)  # above the bar, if there is one


@contextlib.contextmanager
def _byte_bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show bytes, rate and remaining time on stderr, where that is a terminal."""
    from tqdm import tqdm

    bars: list[tqdm[Any]] = []

    def report(done: int, total: int | None) -> None:
        if not bars:
            bars.append(
                tqdm(
                    total=total,
                    initial=done,  # what an earlier attempt has left does not count for the rate
                    desc=what,
                    unit="B",
                    unit_scale=True,
                    file=sys.stderr,
                    disable=None,
                )
            )
        bar = bars[0]
        if done < bar.n:
            bar.reset(total)
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        for bar in bars:
            bar.close()
