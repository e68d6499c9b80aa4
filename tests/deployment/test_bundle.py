"""A bundle that is whole is read; whatever else has its name is refused, with the reason."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from segood import Monitor
from segood.deployment import bundle as names
from segood.deployment.bundle import Bundle, described
from segood.deployment.export import Exported
from segood.errors import DataError, SegoodError, UsageError

Parts = dict[str, bytes]


def parts_of(path: Path) -> Parts:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Parts) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_manifest(given: Parts, **changes: object) -> Parts:
    """Return the parts with a changed manifest whose hashes fit."""
    values = json.loads(given["manifest.json"]) | changes
    if "parts" not in changes:
        inner = {k: v for k, v in given.items() if k not in ("manifest.json", "signature")}
        values["parts"] = {name: dataclasses.asdict(part) for name, part in described(inner).items()}
    return {**given, "manifest.json": json.dumps(values).encode()}


def test_it_is_read_as_it_was_written(exported: Exported, tmp_path: Path) -> None:
    whole = Bundle.read(exported.path, sha256=exported.sha256)
    assert hashlib.sha256(exported.path.read_bytes()).hexdigest() == exported.sha256
    assert whole.write(tmp_path / "again.segood") == exported.sha256  # byte for byte
    monitor = Monitor.load(exported.path)
    assert (monitor.threshold, monitor.probability_threshold) == (0.8, 0.99)
    assert monitor.card["parity"]["mismatches"] == []
    assert monitor.reference is None


BROKEN: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "no manifest": (lambda p: {k: v for k, v in p.items() if k != "manifest.json"}, "has no manifest.json"),
    "foreign": (lambda p: {**p, "evil.py": b"1"}, "it holds 'evil.py'"),
    "outside": (lambda p: {**p, "../evil": b"1"}, "it holds '../evil'"),
    "absolute": (lambda p: {**p, "/etc/passwd": b"1"}, "it holds '/etc/passwd'"),
    "no network": (
        lambda p: with_manifest({k: v for k, v in p.items() if k != "network.onnx"}),
        "has no network.onnx",
    ),
    "part gone": (lambda p: {k: v for k, v in p.items() if k != "meta.json"}, "meta.json is missing"),
    "exchanged": (lambda p: {**p, "meta.json": b"{}"}, "meta.json is not what its manifest.json says"),
    "not listed": (
        lambda p: {
            **p,
            "manifest.json": json.dumps(
                (v := json.loads(p["manifest.json"]))
                | {"parts": {"network.onnx": v["parts"]["network.onnx"]}}
            ).encode(),
        },
        "has no card.json",
    ),
    "half a self-test": (
        lambda p: with_manifest({k: v for k, v in p.items() if k != "self_test.png"}),
        "has only one of self_test.json and self_test.png",
    ),
    "format": (lambda p: with_manifest(p, format="other"), "is of another format"),
    "version": (lambda p: with_manifest(p, version=99), "is of version 99; this segood reads 1"),
    "threshold": (
        lambda p: with_manifest(p, threshold=1.5),
        "`threshold` in its manifest.json must be a number",
    ),
    "threshold text": (lambda p: with_manifest(p, threshold="0.7"), "`threshold`"),
    "threshold NaN": (lambda p: with_manifest(p, threshold=float("nan")), "`threshold`"),
    "classes": (lambda p: with_manifest(p, class_names=["road"]), "`class_names`"),
    "size": (lambda p: with_manifest(p, frame_size=[0, 5]), "`frame_size`"),
    "huge size": (lambda p: with_manifest(p, working_size=[10**9, 10**9]), "`working_size`"),
    "region": (lambda p: with_manifest(p, region="road"), "`region`"),
    "score": (lambda p: with_manifest(p, score="msp"), "`score`"),
    "parts": (lambda p: with_manifest(p, parts=[]), "`parts`"),
    "part without hash": (lambda p: with_manifest(p, parts={"network.onnx": {}}), "`parts`"),
    "extra field": (lambda p: with_manifest(p, more=1), "breaks a rule"),
    "manifest no JSON": (lambda p: {**p, "manifest.json": b"\xff{"}, "manifest.json is no JSON"),
    "manifest a list": (lambda p: {**p, "manifest.json": b"[]"}, "must hold an object"),
    "manifest deep": (lambda p: {**p, "manifest.json": b"[" * 100_000}, "manifest.json is no JSON"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_bundles(name: str, exported: Exported, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    path = tmp_path / "broken.segood"
    path.write_bytes(zipped(change(parts_of(exported.path))))
    with pytest.raises(DataError, match=message) as caught:
        Monitor.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


INNER: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "network": (lambda p: {**p, "network.onnx": b"no graph"}, "cannot be read as ONNX"),
    "meta": (lambda p: {**p, "meta.json": b"{}"}, "meta.json: is not a meta classifier"),
    "card": (lambda p: {**p, "card.json": b"x"}, "card.json is no JSON"),
    "self-test": (lambda p: {**p, "self_test.png": b"\x89PNG"}, "self-test of the bundle is damaged"),
    "self-test numbers": (lambda p: {**p, "self_test.json": b'{"entropy": 3}'}, "is damaged"),
    "reference": (lambda p: {**p, "reference.json": b'{"entropy": 3}'}, "reference.json|drift|damaged"),
}


@pytest.mark.parametrize("name", list(INNER))
def test_parts_that_whoever_made_the_bundle_got_wrong(name: str, exported: Exported, tmp_path: Path) -> None:
    change, message = INNER[name]
    path = tmp_path / "broken.segood"
    path.write_bytes(zipped(with_manifest(change(parts_of(exported.path)))))
    with pytest.raises(SegoodError, match=message):
        Monitor.load(path)


def test_other_classes_than_the_network(exported: Exported, tmp_path: Path) -> None:
    path = tmp_path / "other.segood"
    path.write_bytes(zipped(with_manifest(parts_of(exported.path), class_names=["road", "sky"])))
    with pytest.raises(SegoodError, match="must have an output network_logits of 2 classes"):
        Monitor.load(path)


def test_a_graph_that_computes_something_else_fails_its_self_test(exported: Exported, tmp_path: Path) -> None:
    parts = parts_of(exported.path)
    values = json.loads(parts["self_test.json"])
    values["entropy"][0][0] += 0.5
    path = tmp_path / "drifted.segood"
    path.write_bytes(zipped(with_manifest({**parts, "self_test.json": json.dumps(values).encode()})))
    with pytest.raises(DataError, match=r"self-test failed: the entropy differs by up to 0.5"):
        Monitor.load(path)
    assert Monitor.load(path, self_test=False).label == "unet"
    values["entropy"][0][0] -= 0.5
    values["objects"] += [[0, 0, 1, 1]] * 9
    path.write_bytes(zipped(with_manifest({**parts, "self_test.json": json.dumps(values).encode()})))
    with pytest.raises(DataError, match=r"self-test failed: \d+ objects on the stored frame, \d+ where"):
        Monitor.load(path)


def test_not_a_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Monitor.load(tmp_path / "nothing.segood")
    path = tmp_path / "text.segood"
    path.write_text("hello")
    with pytest.raises(DataError, match="is no zip file"):
        Monitor.load(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is no zip file"):
        Monitor.load(path)


def test_every_truncation_and_bit_flip_is_found(exported: Exported, tmp_path: Path) -> None:
    content = exported.path.read_bytes()
    draw = random.Random(0)
    path = tmp_path / "damaged.segood"
    unnoticed = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            found = Bundle.read(path)
        except DataError:
            continue
        # a flip in the zip's own dates and attributes changes no part
        assert dict(found.parts) == dict(Bundle.read(exported.path).parts)
        unnoticed += 1
    assert unnoticed < 15
    for _ in range(40):
        path.write_bytes(content[: draw.randrange(len(content))])
        with pytest.raises(DataError, match=r"is no zip file|no monitor bundle"):
            Bundle.read(path)


def test_a_bomb_is_not_unpacked(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOST_BYTES", 2**20)
    path = tmp_path / "bomb.segood"
    path.write_bytes(zipped({**parts_of(exported.path), "card.md": bytes(2**24)}))
    with pytest.raises(DataError, match="its parts are larger than"):
        Bundle.read(path)
    # one that lies about its size: no more is read than it admits
    lying = bytearray(zipped({"manifest.json": bytes(2**16)}))
    place = lying.rfind((2**16).to_bytes(4, "little"))
    lying[place : place + 4] = (10).to_bytes(4, "little")
    path.write_bytes(lying)
    with pytest.raises(DataError, match=r"is no JSON|is no zip file|cannot be unpacked"):
        Bundle.read(path)


def test_its_digest_vouches_for_it(exported: Exported) -> None:
    assert Monitor.load(exported.path, sha256=exported.sha256.upper()).label == "unet"
    with pytest.raises(DataError, match="another file, or somebody changed it"):
        Monitor.load(exported.path, sha256="0" * 64)
    with pytest.raises(UsageError, match="must be 64 hexadecimal digits; got 'abc'"):
        Monitor.load(exported.path, sha256="abc")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def test_a_signature_vouches_for_it(exported: Exported, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    signed = tmp_path / "signed.segood"
    Bundle.read(exported.path).write(signed, private)
    assert Monitor.load(signed, public_key=public).label == "unet"
    with pytest.raises(DataError, match="is not signed, but"):
        Monitor.load(exported.path, public_key=public)
    # hashes that fit again do not help whoever changed it
    parts = parts_of(signed)
    signed.write_bytes(zipped(with_manifest(parts, threshold=0.99)))
    with pytest.raises(DataError, match="is not signed by the owner of"):
        Monitor.load(signed, public_key=public)
    assert Bundle.read(signed).manifest.threshold == 0.99  # without the key nobody notices


def test_keys_of_another_kind(exported: Exported, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    whole = Bundle.read(exported.path)
    with pytest.raises(UsageError, match="cannot read the key"):
        whole.write(tmp_path / "a.segood", tmp_path / "none.pem")
    with pytest.raises(UsageError, match="holds no key in PEM format"):
        whole.write(tmp_path / "a.segood", public)
    with pytest.raises(UsageError, match="holds no key in PEM format"):
        Monitor.load(exported.path, public_key=private)
    other = tmp_path / "x.pub"
    other.write_bytes(
        x25519.X25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(UsageError, match="must hold an Ed25519 public key"):
        Monitor.load(exported.path, public_key=other)
    assert not (tmp_path / "a.segood").exists()


def test_images_of_several_sizes_in_one_batch(exported: Exported) -> None:
    monitor = Monitor.load(exported.path)
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (*size, 3), np.uint8) for size in ((64, 128), (100, 90), (64, 128))]
    together = monitor.detect_batch(images)
    for image, found in zip(images, together, strict=True):
        alone = monitor(image)
        assert found.score.shape == image.shape[:2]
        np.testing.assert_allclose(found.score, alone.score, atol=1e-5)
        assert [o.box for o in found.objects] == [o.box for o in alone.objects]
