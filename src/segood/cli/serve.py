"""`segood serve`: the monitor behind HTTP."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, say
from segood.errors import SegoodError, UsageError


def build_parser() -> ArgumentParser:
    """Return the verb's options."""
    parser = make_parser(
        "serve",
        "Answer images over HTTP: POST /v1/detect, a page at /, metrics at /metrics; see docs/service.md.\n"
        "SIGTERM or Ctrl-C lets nothing new in, answers what was accepted and ends with 0; a second one\n"
        "ends at once. An API key comes from a file or from the variable SEGOOD_API_KEY.",
        "segood serve monitor.segood --port 8000 --api_key_file keys.txt",
        usage="serve MONITOR",
    )
    parser.add_argument("monitor", help="what `segood export` wrote")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    parser.add_argument(
        "--max_queue", type=int, default=16, help="images accepted and not yet answered; then 429"
    )
    parser.add_argument(
        "--max_batch", type=int, default=4, help="images of one size through the network at once"
    )
    parser.add_argument("--batch_wait_ms", type=float, default=5.0, help="how long an image waits for others")
    parser.add_argument("--max_bytes", type=int, default=16 * 2**20, help="of a request's body; then 413")
    parser.add_argument("--max_pixels", type=int, default=2**23, help="of an image, by its header; then 413")
    parser.add_argument("--max_files", type=int, default=8, help="images in one request to /v1/detect/batch")
    parser.add_argument("--timeout_s", type=float, default=10.0, help="from arrival to answer; then 503")
    parser.add_argument("--decode_threads", type=int, default=2, help="threads that decode and draw")
    parser.add_argument(
        "--check_frames", type=bool, default=True, help="no verdict on black and badly exposed images"
    )
    parser.add_argument(
        "--api_key_file", type=str | None, default=None, help="file with API keys, one a line"
    )  # type: ignore[operator]
    parser.add_argument("--sha256", type=str | None, default=None, help="digest the monitor's file must have")  # type: ignore[operator]
    parser.add_argument(
        "--public_key",
        type=str | None,
        default=None,
        help="PEM file; the monitor must be signed with its key",
    )  # type: ignore[operator]
    return parser


def run(arguments: Namespace) -> None:
    """Load the monitor and answer until a signal comes."""
    try:
        from segood.deployment.service.options import ServiceOptions
        from segood.deployment.service.server import open_socket, serve
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the service needs {error.name}; install it with `pip install 'segood[serve]'`"
        ) from error
    from segood.deployment.monitor import Monitor
    from segood.deployment.service.keys import load_keys

    names = (
        *("max_queue", "max_batch", "batch_wait_ms", "max_bytes", "max_pixels", "max_files"),
        *("timeout_s", "decode_threads", "check_frames"),
    )
    keys = load_keys(arguments.api_key_file)
    options = ServiceOptions(**{name: getattr(arguments, name) for name in names}, api_keys=keys)
    listener = open_socket(arguments.host, arguments.port)  # before the monitor is loaded: that takes longer
    try:
        monitor = Monitor.load(arguments.monitor, sha256=arguments.sha256, public_key=arguments.public_key)
        if arguments.host not in ("127.0.0.1", "localhost", "::1") and not keys:
            say("no API key: whoever reaches this address can ask")
        finished = serve(monitor, options, listener, say=lambda line: say(f"{monitor.label}: {line}"))
    finally:
        listener.close()
    if not finished:
        raise SegoodError("ended by a second signal; what was accepted may have had no answer")
    say("everything accepted has been answered")
