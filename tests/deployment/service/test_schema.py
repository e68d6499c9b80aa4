"""Schemathesis against the OpenAPI schema: requests it makes up from it, answers it checks against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from tests.deployment.service.client import Client, running
from tests.deployment.service.red_monitor import RedMonitor, encoded, picture

from segood.deployment.service.app import create_app
from segood.deployment.service.options import ServiceOptions
from segood.deployment.service.server import ServiceProtocol

IMAGES = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
}


@pytest.fixture(scope="module")
def images() -> None:
    """Say what bytes of these types look like: a schema has no words for it."""
    sizes = st.tuples(st.integers(24, 48), st.integers(40, 72))
    for kind, image_format in IMAGES.items():
        schemathesis.openapi.media_type(
            kind,
            sizes.map(lambda size, f=image_format: encoded(picture(*size), f)),  # type: ignore[misc]
        )
    schemathesis.openapi.format("binary", sizes.map(lambda size: encoded(picture(*size))))


@pytest.fixture(scope="module")
def keyed_client() -> Iterator[Client]:
    app = create_app(RedMonitor(), ServiceOptions(api_keys=("secret",), batch_wait_ms=0.0))
    with running(app, ServiceProtocol) as client:
        yield client


def check(client: Client, *, examples: int, **headers: str) -> Counter[tuple[str, int]]:
    """Run all phases of Schemathesis; return the number of answers it checked, by operation and status.

    Examples alone say when it ends: with a limit of time, a slow machine would be asked less.
    """
    config = SchemathesisConfig(seed=1)
    config.projects.default.update(headers=headers, request_timeout=20)
    config.projects.default.generation.update(max_examples=examples, deterministic=True, database="none")
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{client.port}/openapi.json", config=config)
    failures: list[str] = []
    answers: Counter[tuple[str, int]] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures.append(str(event))
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            for interaction in recorder.interactions.values():
                if interaction.response is not None:
                    asked = f"{interaction.request.method} {urlsplit(interaction.request.uri).path}"
                    answers[asked, interaction.response.status_code] += 1
            for checks in recorder.checks.values():
                for found in checks:
                    if found.failure_info is not None:
                        info = found.failure_info
                        failures.append(f"{recorder.label} {found.name}: {info.failure}\n{info.code_sample}")
    assert not failures, "\n".join(failures[:10])
    return answers


def test_schemathesis_finds_nothing(images: None, client: Client) -> None:
    answers = check(client, examples=15)
    for path in ("/v1/detect", "/v1/detect/batch"):
        assert answers[f"POST {path}", 200] >= 10, answers
        assert answers[f"POST {path}", 422] >= 10, answers
    for path in ("/healthz", "/readyz", "/metrics", "/v1/model"):
        assert answers[f"GET {path}", 200] >= 1, answers
    assert sum(answers.values()) >= 150


def test_schemathesis_finds_nothing_behind_a_key(images: None, keyed_client: Client) -> None:
    answers = check(keyed_client, examples=3, **{"X-API-Key": "secret"})
    assert answers["GET /v1/model", 200] >= 1
    assert answers["GET /v1/model", 401] + answers["GET /v1/model", 403] >= 1
