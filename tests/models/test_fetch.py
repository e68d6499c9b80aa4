"""Downloads from a server that truncates, stalls, corrupts and forgets."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bad_server import CONTENT, OTHER, SHA256, Handler, serve

from segood.errors import FetchError, OutputError, UsageError
from segood.files import file_hash
from segood.models import load_model, save_model
from segood.models.fetch import Patience, download, fetch_weights
from segood.models.weights import PublicWeights

QUICK = Patience(timeout=30, retries=3, pause=0.01)
IMPATIENT = Patience(timeout=0.3, retries=3, pause=0.01)
"""For what the tests want to be given up."""


def published(**changes: object) -> PublicWeights:
    """Public weights that are the server's file."""
    facts: dict[str, object] = {
        "name": "small",
        "network": "unet",
        "summary": "",
        "file": "weights.pth",
        "url": None,
        "page": "https://example.org/page",
        "sha256": SHA256,
        "size": len(CONTENT),
        "licence": "MIT",
        "source": "",
        "label_space": "cityscapes",
        "num_classes": 19,
        "file_format": "",
    }
    return PublicWeights(**{**facts, **changes})  # type: ignore[arg-type]


def fetch(
    answer: Callable[[Handler, int], None], folder: Path, patience: Patience = QUICK, **changes: object
) -> tuple[list[str | None], list[str]]:
    """Fetch from a server; return the ranges asked for and what the user was told."""
    told: list[str] = []
    with serve(answer) as server:
        try:
            fetched = fetch_weights(
                published(**changes), folder=folder, url=server.url, patience=patience, tell=told.append
            )
        finally:
            ranges = [asked for _, asked in server.requests]
    assert fetched.path.read_bytes() == CONTENT
    assert [p.name for p in folder.iterdir() if not p.name.startswith(".")] == ["weights.pth"]
    return ranges, told


def parts(folder: Path) -> dict[str, int]:
    """Return the unfinished files and their sizes."""
    return {p.name: p.stat().st_size for p in folder.glob("*.part")}


def test_a_good_server_is_asked_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with serve(lambda handler, n: handler.send()) as server:
        for was_there in (False, True):
            fetched = fetch_weights(
                published(), folder=tmp_path, url=server.url, report=lambda *done: seen.append(done)
            )
            assert (fetched.was_there, fetched.verified, fetched.sha256) == (was_there, True, SHA256)
        assert len(server.requests) == 1
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen


@pytest.mark.parametrize("kind", ["etag", "date", "neither"])
def test_a_truncated_download_goes_on_where_it_broke_off(tmp_path: Path, kind: str) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.send(limit=100_000 if n < 2 else None, etag=kind == "etag", date=kind == "date")

    ranges, told = fetch(answer, tmp_path)
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert "truncated: the connection ended after 100000 of 307200 bytes; next attempt in 0.01 s" in told[0]


def test_without_hash_and_validator_it_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with serve(lambda handler, n: handler.send(limit=None if n else 1000, etag=False)) as server:
        download(server.url, path, check=lambda path: None, patience=QUICK)
        assert [asked for _, asked in server.requests] == [None, None]
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(tmp_path: Path) -> None:
    ranges, _ = fetch(lambda handler, n: handler.send(limit=None if n else 9000, ranges=False), tmp_path)
    assert ranges == [None, "bytes=9000-"]


def test_a_stalled_connection_is_given_up_and_continued(tmp_path: Path) -> None:
    came_back = threading.Event()

    def answer(handler: Handler, n: int) -> None:
        handler.send(limit=50_000 if n == 0 else None)
        if n == 0:
            came_back.wait(60)
        came_back.set()

    # the server promises more, stays connected and sends nothing
    ranges, told = fetch(answer, tmp_path, IMPATIENT)
    assert ranges == [None, "bytes=50000-"]
    assert "stalled: nothing came for 0.3 s" in told[0]


def test_a_trickle_counts_as_stalled(tmp_path: Path) -> None:
    with (
        serve(lambda handler, n: handler.send(slow=0.25, block=1)) as server,
        pytest.raises(
            FetchError,
            match=r"stalled: only \d+ bytes came in .*gave up after 1 attempts; \d+ bytes are kept",
        ),
    ):
        fetch_weights(published(), folder=tmp_path, url=server.url, patience=Patience(timeout=2, retries=0))
    assert 0 < parts(tmp_path)["weights.pth.part"] < 20


def test_a_file_that_changes_between_two_parts_is_started_over(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.behaviour.content = OTHER if n == 0 else CONTENT
        handler.send(limit=None if n else 100_000)

    ranges, _ = fetch(answer, tmp_path)  # If-Range: the server sends the whole new file at once
    assert ranges == [None, "bytes=100000-"]

    def careless(handler: Handler, n: int) -> None:
        handler.behaviour.content = OTHER if n == 0 else CONTENT
        del handler.headers["If-Range"]
        handler.send(limit=None if n else 100_000)

    ranges, _ = fetch(careless, tmp_path / "etag")  # another ETag on the second part
    assert ranges == [None, "bytes=100000-", None]

    def blind(handler: Handler, n: int) -> None:
        handler.behaviour.content = OTHER if n == 0 else CONTENT
        handler.send(limit=None if n else 100_000, etag=False)

    ranges, told = fetch(blind, tmp_path / "hash")  # nothing to tell them apart by but the hash
    assert ranges == [None, "bytes=100000-", None]
    assert "the pieces make no good file" in told[-1]


def test_a_part_of_another_place_is_not_taken(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.send(limit=None if n != 0 else 100_000, shift=7 if n == 1 else 0)

    ranges, told = fetch(answer, tmp_path)
    assert ranges == [None, "bytes=100000-", None]
    assert "does not continue the file that was begun" in told[1]


def test_a_part_that_is_complete_already_is_taken(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.send(length=False)

    (tmp_path / "weights.pth.part").write_bytes(CONTENT)
    with serve(answer) as server:
        origin = {"url": server.url, "etag": None, "modified": None}
        (tmp_path / "weights.pth.part.json").write_text(json.dumps(origin))
        assert not fetch_weights(published(), folder=tmp_path, url=server.url, patience=QUICK).was_there
        assert [asked for _, asked in server.requests] == [f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_started_over(tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").write_bytes(CONTENT + b"more")
    with serve(lambda handler, n: handler.send()) as server:
        origin = {"url": server.url, "etag": None, "modified": None}
        (tmp_path / "weights.pth.part.json").write_text(json.dumps(origin))
        fetch_weights(published(), folder=tmp_path, url=server.url, patience=QUICK)
        assert [asked for _, asked in server.requests][1:] == [None]
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT


def test_parts_without_a_readable_note_are_not_trusted(tmp_path: Path) -> None:
    for note in (None, "{", '{"url": "https://example.org/else"}', '{"link": 1}'):
        (tmp_path / "weights.pth.part").write_bytes(OTHER[:1000])
        if note:
            (tmp_path / "weights.pth.part.json").write_text(note)
        ranges, _ = fetch(lambda handler, n: handler.send(), tmp_path)
        assert ranges == [None]
        (tmp_path / "weights.pth").unlink()


def test_no_content_length(tmp_path: Path) -> None:
    fetch(lambda handler, n: handler.send(length=False), tmp_path)
    # known size: a file that ends early is found out, and continued
    ranges, _ = fetch(lambda handler, n: handler.send(length=False, limit=None if n else 5), tmp_path / "2")
    assert ranges == [None, "bytes=5-"]
    # size unknown: the hash finds it out; another attempt from the beginning would end the same way
    with pytest.raises(FetchError, match=r"is not the file it should be: its SHA-256 is .*; it was removed"):
        fetch(lambda handler, n: handler.send(length=False, limit=5), tmp_path / "3", size=None)
    assert not list((tmp_path / "3").glob("weights*"))


def test_chunks_that_break_off(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.protocol_version = "HTTP/1.1"
        if n:
            handler.send(extra={"Connection": "close"})
            return
        handler.send(length=False, limit=0, extra={"Transfer-Encoding": "chunked", "Connection": "close"})
        handler.wfile.write(b"3e8\r\n" + CONTENT[:1000] + b"\r\n3e8\r\n" + CONTENT[1000:1500])
        handler.close_connection = True

    ranges, told = fetch(answer, tmp_path)
    assert ranges == [None, "bytes=1000-"] or ranges == [None, "bytes=1500-"]
    assert "the connection broke" in told[0] or "truncated" in told[0]


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_failing_servers_are_tried_again(tmp_path: Path, code: int) -> None:
    def answer(handler: Handler, n: int) -> None:
        if n < 2:
            handler.fail(code, Retry_After="0")
        else:
            handler.send()

    ranges, told = fetch(answer, tmp_path)
    assert len(ranges) == 3
    assert told[0] == told[1]
    assert f"HTTP {code} " in told[0]
    assert told[0].endswith("next attempt in 0 s")


def test_pauses_grow(tmp_path: Path) -> None:
    _, told = fetch(lambda handler, n: handler.send() if n > 2 else handler.fail(500), tmp_path)
    assert [text.split("in ")[-1] for text in told] == ["0.01 s", "0.02 s", "0.04 s"]


def test_a_server_that_keeps_failing_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="HTTP 503 Service Unavailable; gave up after 4 attempts; nothing"):
        fetch(lambda handler, n: handler.fail(503), tmp_path)


@pytest.mark.parametrize(
    ("code", "words"),
    [(404, "no longer there"), (403, "does not give this file"), (401, "wants a login"), (400, "HTTP 400")],
)
def test_final_answers_are_not_tried_again(tmp_path: Path, code: int, words: str) -> None:
    with serve(lambda handler, n: handler.fail(code)) as server:
        with pytest.raises(FetchError, match=words):
            fetch_weights(published(), folder=tmp_path, url=server.url, patience=QUICK)
        assert len(server.requests) == 1


def test_a_corrupted_file_is_removed(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.behaviour.content = CONTENT[:-1] + b"?"
        handler.send()

    with pytest.raises(FetchError, match=r"its SHA-256 is [0-9a-f]{64}, that of small is .*; it was removed"):
        fetch(answer, tmp_path)
    assert not list(tmp_path.glob("weights*"))


def test_another_size_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="is a file of 307200 bytes, not the one of 5 that was asked for"):
        fetch(lambda handler, n: handler.send(), tmp_path, size=5)
    assert not list(tmp_path.glob("weights*"))
    with pytest.raises(FetchError, match="sends more than the 5 bytes"):
        fetch(lambda handler, n: handler.send(length=False), tmp_path, size=5)
    assert not list(tmp_path.glob("weights*"))


def test_a_web_page_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="answers with a web page instead of the file"):
        fetch(lambda h, n: h.send(extra={"Content-Type": "text/html; charset=utf-8"}), tmp_path)


def test_an_encoding_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        handler.behaviour.content = gzip.compress(CONTENT)
        handler.send(extra={"Content-Encoding": "gzip"})

    with pytest.raises(FetchError, match="in the encoding gzip"):
        fetch(answer, tmp_path)


def test_redirections(tmp_path: Path) -> None:
    def answer(handler: Handler, n: int) -> None:
        if handler.path == "/weights.pth":
            handler.fail(302, Location="/elsewhere")
        else:
            handler.send(limit=None if n > 1 else 100_000)

    ranges, _ = fetch(answer, tmp_path)  # a continued download is redirected, too
    assert ranges == [None, None, "bytes=100000-", "bytes=100000-"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("file:///etc/passwd", "HTTP 302|not https"),
        ("ftp://127.0.0.1/x", "not https; refused"),
        ("http://example.org/x", "redirects to http://example.org/x, which is not https; refused"),
        ("/weights.pth", "HTTP 302"),  # round in circles
    ],
)
def test_bad_redirections(tmp_path: Path, target: str, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        fetch(lambda handler, n: handler.fail(302, Location=target), tmp_path)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "file:///etc/passwd", "ftp://a/b", "https:///x", "x"]
)
def test_only_https(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="`url` must begin with https://; got"):
        fetch_weights(published(), folder=tmp_path, url=url)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))  # not listening: connections are refused
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/x"
        with pytest.raises(FetchError, match=r"cannot connect to 127.0.0.1: .*refused; gave up after 4"):
            fetch_weights(published(), folder=tmp_path, url=url, patience=QUICK)
        busy.listen()  # listening, never answering
        with pytest.raises(FetchError, match=r"no answer within 0.3 s; gave up after 1 attempts"):
            patience = Patience(timeout=0.3, retries=0)
            fetch_weights(published(), folder=tmp_path, url=url, patience=patience)


def test_offline_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        FetchError, match=r"the host weights.invalid cannot be found; is this machine offline\?"
    ):
        fetch_weights(published(), folder=tmp_path, url="https://weights.invalid/x", patience=QUICK)


def test_no_direct_link_says_how(tmp_path: Path) -> None:
    with pytest.raises(
        FetchError, match=r"open https://example.org/page .*\(MIT\), save weights.pth, then run"
    ):
        fetch_weights(published(), folder=tmp_path)


def test_a_local_file(tmp_path: Path) -> None:
    source = tmp_path / "downloads" / "anything.bin"
    source.parent.mkdir()
    with pytest.raises(FetchError, match=r"anything.bin does not exist"):
        fetch_weights(published(), folder=tmp_path, local_file=source)
    source.write_bytes(OTHER)
    with pytest.raises(FetchError, match=r"anything.bin is not small: its SHA-256 is"):
        fetch_weights(published(), folder=tmp_path, local_file=source)
    source.write_bytes(CONTENT[:10])
    with pytest.raises(FetchError, match="is not small: 10 bytes, small has 307200"):
        fetch_weights(published(), folder=tmp_path, local_file=source)
    assert not (tmp_path / "weights.pth").exists()
    source.write_bytes(CONTENT)
    fetched = fetch_weights(published(), folder=tmp_path / "new", local_file=source)
    assert (fetched.path, fetched.was_there) == (tmp_path / "new" / "weights.pth", False)
    assert fetch_weights(published(), folder=tmp_path / "new", local_file=fetched.path).was_there
    assert fetch_weights(published(), folder=tmp_path / "new").was_there  # no link needed any more


def test_a_damaged_file_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(OTHER)
    _, told = fetch(lambda handler, n: handler.send(), tmp_path)
    assert "is not the file it should be (its SHA-256 is" in told[0]


def test_weights_without_published_hash_must_fit_their_network(tmp_path: Path) -> None:
    save_model(load_model("unet", width=4), tmp_path / "unet.safetensors")
    content = (tmp_path / "unet.safetensors").read_bytes()

    def fetch_it(data: bytes, **changes: object) -> bool:
        def answer(handler: Handler, n: int) -> None:
            handler.behaviour.content = data
            handler.send()

        with serve(answer) as server:
            weights = published(sha256=None, size=None, **changes)
            return fetch_weights(weights, folder=tmp_path, url=server.url, patience=QUICK).verified

    with pytest.raises(FetchError, match=r"is not the file it should be: .* does not fit|holds weights of"):
        fetch_it(content, network="espnetv2")
    with pytest.raises(FetchError, match="it has 19 classes, small has 7; it was removed"):
        fetch_it(content, num_classes=7)
    with pytest.raises(FetchError, match="is not the file it should be"):
        fetch_it(content[:-100])
    assert not list(tmp_path.glob("weights*"))
    assert fetch_it(content) is False
    assert file_hash(tmp_path / "weights.pth") == file_hash(tmp_path / "unet.safetensors")


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"bytes free, 4611686018427387904 are needed; make room"):
        fetch(lambda handler, n: handler.send(length=False), tmp_path, size=2**62)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match=r"cannot work in .*; choose another folder"):
        fetch(lambda handler, n: handler.send(), blocked / "folder")


SCRIPT = """
import sys, resource
from pathlib import Path
from segood.errors import SegoodError
from segood.files import file_hash
from segood.models.fetch import Patience, download
url, path, sha256, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
check = lambda path: None if file_hash(path) == sha256 else "another hash"
tell = lambda text: print(text, flush=True)
try:
    print(download(url, Path(path), check=check, blind=True, patience=Patience(5, 3, 0.01), tell=tell))
except SegoodError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def start(url: str, path: Path, limit: int = 0) -> subprocess.Popen[str]:
    """Start a download in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, url, str(path), SHA256, str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait at most 20 s."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_download_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    gate = threading.Event()

    def answer(handler: Handler, n: int) -> None:
        if n == 0:
            handler.send(limit=120_000)
            gate.wait(20)  # the connection stays open: the process is in the middle of it
        else:
            handler.send()

    with serve(answer) as server:
        process = start(server.url, path)
        wait_for(lambda: parts(tmp_path).get("weights.pth.part") == 120_000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        gate.set()
        assert not path.exists()
        out, err = start(server.url, path).communicate()
        assert (err, out.splitlines()) == ("", ["120000 bytes are there from an earlier attempt", "False"])
        assert [asked for _, asked in server.requests] == [None, "bytes=120000-"]
    assert path.read_bytes() == CONTENT
    assert not parts(tmp_path)


def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with serve(lambda handler, n: handler.send(slow=0.01)) as server:
        first = start(server.url, path)
        wait_for(lambda: bool(server.requests))
        second = start(server.url, path)
        outputs = [process.communicate() for process in (first, second)]
        assert len(server.requests) == 1
    assert [err for _, err in outputs] == ["", ""]
    assert outputs[0][0] == "False\n"
    assert outputs[1][0].splitlines()[-1] == "True"
    assert path.read_bytes() == CONTENT


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_keeps_what_has_arrived(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with serve(lambda handler, n: handler.send()) as server:
        _, err = start(server.url, path, limit=65_536).communicate()
        assert err.startswith(
            f"OutputError: cannot write {path}.part: File too large; what has arrived is kept"
        )
        assert not path.exists()
        kept = parts(tmp_path)["weights.pth.part"]
        assert kept == 65_536
        assert start(server.url, path).communicate()[0].endswith("False\n")
        assert [asked for _, asked in server.requests] == [None, f"bytes={kept}-"]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("arguments", [{"timeout": 0.0}, {"retries": -1}, {"timeout": float("nan")}])
def test_patience_has_limits(arguments: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"`(timeout|retries)` must be at least"):
        Patience(**arguments)  # type: ignore[arg-type]
