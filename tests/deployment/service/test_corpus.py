"""Every input that is no good is refused with a reason, and the next good one is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from tests.deployment.service.client import Answer, Client
from tests.deployment.service.conftest import Start
from tests.deployment.service.corpus import Bad, corpus, files
from tests.deployment.service.red_monitor import encoded
from tests.waiting import eventually

from segood.deployment.service.problems import PROBLEMS


def send(client: Client, bad: Bad) -> Answer | None:
    if bad.raw is not None:
        return client.send_raw(bad.raw)
    head = [f"POST {bad.path} HTTP/1.1", "Host: a", f"Content-Length: {len(bad.body)}", "Connection: close"]
    head += [f"{name}: {value}" for name, value in bad.headers.items()]
    return client.send_raw("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + bad.body)


def test_the_corpus_is_large_and_always_the_same() -> None:
    first, second = list(corpus()), list(corpus())
    assert len(first) >= 500
    kinds = Counter(bad.kind for bad in first)
    assert kinds == Counter(bad.kind for bad in second)
    assert len(kinds) >= 20
    assert sum(bad.may_pass for bad in first) < len(first) / 2


@pytest.mark.parametrize("name", sorted(files()))
def test_what_the_corpus_is_made_of_is_good(client: Client, name: str) -> None:
    assert client.detect(files()[name]).status == 200


def test_every_input_gets_its_reason_and_the_next_good_one_its_answer(
    start: Start, record_property: Callable[[str, object], None]
) -> None:
    client, service = start(max_bytes=2**20, max_pixels=10**6, timeout_s=2.0, batch_wait_ms=0.0)
    good, expected = encoded(), None
    outcomes: Counter[str] = Counter()
    for number, bad in enumerate(corpus()):
        answer = send(client, bad)
        assert answer is not None, (number, bad.kind)
        if bad.may_pass and answer.status == 200:
            outcomes["flipped, still an image"] += 1
            assert answer.json()["height"] >= 1
        else:
            assert 400 <= answer.status < 500, (number, bad.kind, answer)
            assert PROBLEMS[answer.code][0] == answer.status, (number, bad.kind, answer)
            outcomes[str(answer.status)] += 1
        again = client.detect(good)
        assert again.status == 200, (number, bad.kind)
        found = again.json()["objects"]
        expected = found if expected is None else expected
        assert found == expected, (number, bad.kind)
    eventually(lambda: service.slots.used, 0)
    assert sum(outcomes.values()) >= 500
    record_property("outcomes", dict(outcomes))
    print(dict(outcomes))  # noqa: T201
