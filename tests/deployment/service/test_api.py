"""What the service answers to requests that are in order, and to those that are not."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from tests.deployment.service.client import Client, form
from tests.deployment.service.conftest import Start
from tests.deployment.service.red_monitor import RedMonitor, encoded, picture

from segood.deployment.drift import fine_histogram, make_reference
from segood.deployment.rle import decode_mask
from segood.deployment.service.problems import PROBLEMS


def test_objects_by_hand(client: Client) -> None:
    """The boxes of `picture`: 60 pixels of score 1, kept; 6 of score 0.8, a false alarm by their size."""
    found = client.detect(encoded()).json()
    assert (found["height"], found["width"], found["threshold"]) == (32, 64, 0.7)
    assert found["objects"] == [
        {"id": 1, "box": [4, 8, 10, 18], "center": [6.5, 12.5], "area": 60, "score": 1.0, "probability": 0.75,
         "reasons": []}
    ]  # fmt: skip
    (removed,) = found["removed"]
    assert (removed["id"], removed["box"], removed["area"]) == (2, [20, 30, 22, 33], 6)
    assert (removed["score"], removed["probability"]) == (0.8, 0.25)
    assert found["flagged_share"] == pytest.approx(66 / (32 * 64), abs=1e-6)
    assert found["no_verdict"] is None
    assert {"decode", "queue", "network", "total"} <= set(found["seconds"])
    assert "pictures" not in found


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("as_form", [False, True])
def test_every_way_to_send_an_image_gives_the_same(client: Client, image_format: str, as_form: bool) -> None:
    data = encoded(image_format=image_format)
    if as_form:
        answer = client.send_files("/v1/detect", [("file", "x.any", data)])
    else:
        answer = client.detect(data, kind=f"image/{image_format.lower()}")
    assert answer.json()["objects"] == client.detect(encoded()).json()["objects"]


def test_jpeg_is_read_by_its_content_under_any_type(client: Client) -> None:
    answer = client.detect(encoded(image_format="JPEG", quality=95), kind="image/png; charset=x")
    assert len(answer.json()["objects"]) == 1


def test_thresholds_of_one_request(client: Client) -> None:
    """0.8 = 204 / 255 lies between: the small box is gone at 0.9; at 0.76 for the filter both stay."""
    at_90 = client.detect(encoded(), "?threshold=0.9").json()
    assert (at_90["threshold"], len(at_90["objects"]), len(at_90["removed"])) == (0.9, 1, 0)
    kept = client.detect(encoded(), "?probability_threshold=0.76").json()
    assert (kept["probability_threshold"], len(kept["objects"]), len(kept["removed"])) == (0.76, 2, 0)
    again = client.detect(encoded()).json()
    assert (again["threshold"], len(again["removed"])) == (0.7, 1)


def test_masks_cover_the_segments(client: Client) -> None:
    found = client.detect(encoded(), "?masks=true").json()
    expected = np.zeros((32, 64), bool)
    expected[4:10, 8:18] = True
    assert np.array_equal(decode_mask(found["objects"][0]["mask"]), expected)
    assert decode_mask(found["removed"][0]["mask"]).sum() == 6


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_overlay_is_a_picture_of_the_same_size(client: Client, kind: str) -> None:
    answer = client.detect(encoded(), f"?format=overlay&picture={kind}")
    assert answer.headers["content-type"] == f"image/{kind}"
    assert answer.headers["x-segood-objects"] == "1"
    assert answer.headers["x-segood-no-verdict"] == "none"
    with Image.open(io.BytesIO(answer.body)) as drawn:
        assert drawn.format == kind.upper()
        pixels = np.asarray(drawn.convert("RGB"))
    assert pixels.shape == (32, 64, 3)
    changed = np.abs(pixels.astype(int) - picture()).max(axis=2)
    assert changed[6, 12] > 40
    assert changed[30, 60] < 12


def test_no_verdict_is_told_in_every_format(client: Client) -> None:
    black = encoded(np.zeros((8, 8, 3), np.uint8))
    found = client.detect(black).json()
    assert found["no_verdict"] == {
        "reason": "black",
        "message": "100 % of the pixels are black; is the lens covered?",
    }
    assert (found["objects"], found["flagged_share"]) == ([], None)
    overlay = client.detect(black, "?format=overlay")
    assert overlay.headers["x-segood-no-verdict"] == "black"
    with Image.open(io.BytesIO(overlay.body)) as drawn:
        assert drawn.getextrema()[0] != (0, 0)  # the picture itself says so


def test_page_detail_carries_the_score_exactly(client: Client) -> None:
    pictures = client.detect(encoded(), "?detail=page").json()["pictures"]
    assert set(pictures) == {"image", "overlay", "score"}
    import base64

    with Image.open(io.BytesIO(base64.b64decode(pictures["score"].partition(",")[2]))) as score:
        assert np.array_equal(np.asarray(score), picture()[..., 0])  # the palette's indices


def test_batch_has_a_result_or_an_error_each(client: Client) -> None:
    files = [
        ("files", "../../etc/first.png", encoded()),
        ("files", "C:\\temp\\second.png", encoded()[:90]),
        ("files", "third.gif", b"GIF89a" + bytes(50)),
        ("files", "", encoded(picture(48, 64))),
    ]
    found = client.send_files("/v1/detect/batch?threshold=0.9", files).json()["results"]
    assert [item["index"] for item in found] == [0, 1, 2, 3]
    assert [item["name"] for item in found] == ["first.png", "second.png", "third.gif", ""]
    assert [item["error"] and item["error"]["code"] for item in found] == [
        None, "damaged_image", "unsupported_format", None,
    ]  # fmt: skip
    assert [item["result"] and len(item["result"]["objects"]) for item in found] == [1, None, None, 1]
    assert found[3]["result"]["height"] == 48


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("日本 é.png".encode(), "日本 é.png"),
        ("é.png".encode("latin-1"), "\ufffd.png"),
        (b"a\x00b\x1b[31m.png", "ab[31m.png"),
        (b"x" * 3000, "x" * 100),
    ],
)
def test_names_of_files_are_safe_to_show(client: Client, name: bytes, expected: str) -> None:
    body, kind = form([("files", "NAME", encoded())])
    answer = client.ask("POST", "/v1/detect/batch", body.replace(b"NAME", name), {"Content-Type": kind})
    assert answer.json()["results"][0]["name"] == expected


def test_states_and_model(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    model = client.get("/v1/model").json()
    assert (model["label"], model["class_names"]) == ("red <network>", ["road", "sky"])
    assert (model["has_meta"], model["calibrated"], model["card"]) == (True, False, {"data": "none"})
    assert model["limits"]["max_pixels"] == 2**23


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("POST", "/v1/detect/", 404, "not_found"),
        ("GET", "/v1/detect", 405, "method_not_allowed"),
        ("DELETE", "/", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_paths_and_methods(client: Client, method: str, path: str, status: int, code: str) -> None:
    answer = client.ask(method, path)
    assert (answer.status, answer.code) == (status, code)
    assert (status != 405) or answer.headers["allow"]


@pytest.mark.parametrize(
    "query",
    [
        "threshold=1.01", "threshold=-0.1", "threshold=nan", "threshold=high", "treshold=0.5",
        "probability_threshold=2", "format=xml", "detail=all", "picture=gif", "threshold=",
    ],
)  # fmt: skip
def test_parameters_out_of_range_are_named(client: Client, query: str) -> None:
    answer = client.detect(encoded(), f"?{query}")
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert query.partition("=")[0] in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "body", "headers", "code"),
    [
        ("application/json", b"{}", {}, "unsupported_media_type"),
        ("image/gif", b"GIF89a", {}, "unsupported_media_type"),
        ("", b"", {}, "unsupported_media_type"),
        ("image/png", b"", {}, "empty_body"),
        ("image/png", b"no image", {}, "unsupported_format"),
        ("image/png", encoded(), {"Content-Encoding": "gzip"}, "unsupported_media_type"),
        ("multipart/form-data", b"x", {}, "invalid_multipart"),
        ("multipart/form-data; boundary=a", b"--a--\r\n", {}, "empty_body"),
        ("multipart/form-data; boundary=a", b"garbage", {}, "invalid_multipart"),
    ],
)
def test_bodies_that_are_no_images(
    client: Client, kind: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    answer = client.detect(body, kind=kind, **headers)
    assert (answer.status, answer.code) == (PROBLEMS[code][0], code)


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        ("/v1/detect", ["picture"], "invalid_multipart"),
        ("/v1/detect", ["file", "file"], "invalid_multipart"),
        ("/v1/detect/batch", ["file"], "invalid_multipart"),
        ("/v1/detect/batch", ["files"] * 9, "invalid_multipart"),
    ],
)
def test_fields_of_forms(client: Client, path: str, fields: list[str], code: str) -> None:
    answer = client.send_files(path, [(field, "a.png", encoded()) for field in fields])
    assert (answer.status, answer.code) == (422, code)


def test_a_batch_is_a_form(client: Client) -> None:
    answer = client.ask("POST", "/v1/detect/batch", encoded(), {"Content-Type": "image/png"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_what_is_no_http_has_the_same_form(client: Client) -> None:
    answer = client.send_raw(b"GARBAGE\r\n\r\n")
    assert answer is not None
    assert (answer.status, answer.code) == (400, "bad_request")


def test_openapi_names_every_status(client: Client) -> None:
    schema = client.get("/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if status != "200":
                    (content,) = response["content"].values()
                    assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}, (path, status)
            assert {"400", "404", "405"} <= set(operation["responses"]), (path, method)
    detect = schema["paths"]["/v1/detect"]["post"]
    assert {"408", "413", "415", "422", "429", "500", "503"} <= set(detect["responses"])
    assert set(detect["requestBody"]["content"]) == {
        "multipart/form-data", "image/png", "image/jpeg", "image/webp", "image/bmp",
    }  # fmt: skip
    assert "https://" not in json.dumps(schema)


def test_api_key(start: Start) -> None:
    client, _ = start(api_keys=("first", "second"))
    answer = client.detect(encoded())
    assert (answer.status, answer.code) == (401, "key_missing")
    assert answer.headers["www-authenticate"] == "Bearer"
    for wrong in ("First", "firs", "firstsecond", "é"):
        answer = client.ask("POST", "/v1/detect?threshold=9", encoded(), {"X-API-Key": wrong})
        assert (answer.status, answer.code) == (403, "key_wrong")
    for headers in ({"X-API-Key": "first"}, {"Authorization": "Bearer second"}):
        assert client.ask("GET", "/v1/model", headers=headers).status == 200
        answer = client.ask("POST", "/v1/detect", encoded(), {"Content-Type": "image/png", **headers})
        assert answer.status == 200
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert client.get(path).status == 200


def test_metrics_count_what_happened(start: Start) -> None:
    client, _ = start()
    for body in (encoded(), encoded(), b"x", encoded(np.zeros((4, 4, 3), np.uint8))):
        client.detect(body)
    client.detect(encoded(), "?threshold=0.1")  # tried, not monitored
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = dict(
        line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#")
    )
    expected = {
        'segood_requests_total{path="/v1/detect",status="200"}': 4,
        'segood_requests_total{path="/v1/detect",status="415"}': 1,
        "segood_accepted_total": 5,
        'segood_rejected_total{reason="unsupported_format"}': 1,
        'segood_no_verdict_total{reason="black"}': 1,
        "segood_objects_total": 2,
        "segood_removed_total": 2,
        "segood_flagged_share_count": 2,
        "segood_queue_size": 16,
        "segood_queue_depth": 0,
        "segood_in_use": 0,
        "segood_ready": 1,
        'segood_stage_seconds_count{stage="total"}': 4,
    }
    assert {name: float(lines[name]) for name in expected} == expected
    assert not any("drift_psi{" in name for name in lines)


def test_drift_against_the_calibration_set(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The calibration set is as dark as the ramp; 40 bright frames are not, and the log says so once."""
    counts = np.stack([fine_histogram(picture()[..., 0] / 255)] * 40)
    monitor = RedMonitor()
    monitor.reference = make_reference(counts, np.full(40, 66 / 2048), np.full(40, 0.35), 0.7)
    client, service = start(monitor)
    service.watching._every = 0.0
    assert client.get("/v1/model").json()["calibrated"] is True

    def drift() -> dict[str, float]:
        lines = client.get("/metrics").body.decode().splitlines()
        found = [line.partition('{what="')[2] for line in lines if line.startswith("segood_drift_psi{")]
        return {line.partition('"')[0]: float(line.rpartition(" ")[2]) for line in found}

    assert drift() == {}
    for _ in range(5):
        client.detect(encoded())
    assert drift()["entropy"] == pytest.approx(0, abs=1e-9)
    for _ in range(40):
        assert client.detect(encoded(255 - picture())).status == 200
    assert drift()["entropy"] > 1
    moved = [record.getMessage() for record in caplog.records if "differ from the 40" in record.getMessage()]
    assert len(moved) == 1
    assert "entropy (PSI" in moved[0]
    before = drift()
    client.detect(encoded(), "?threshold=0.2")  # tried on the page
    client.detect(encoded(np.zeros((9, 9, 3), np.uint8)))  # no verdict
    assert drift() == before


def test_a_failing_monitor_is_a_500_with_a_reason_and_the_next_image_works(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    class Fragile(RedMonitor):
        def detect_batch(self, images, **thresholds):  # type: ignore[no-untyped-def]
            if images[0].shape[0] == 13:
                raise ZeroDivisionError("thirteen")
            return super().detect_batch(images, **thresholds)

    client, _ = start(Fragile())
    answer = client.detect(encoded(picture()[:13]))
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "thirteen" not in answer.body.decode()
    assert "thirteen" in caplog.text
    assert client.detect(encoded()).status == 200
