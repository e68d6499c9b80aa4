"""Bundles from anybody: damaged containers, manifests that lie, parts that are something else."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import altered, damaged, hostile_json
from tests.hostile.test_records import linear, reference

from segood import Monitor
from segood.deployment.bundle import Bundle, described
from segood.errors import SegoodError
from segood.segments.names import feature_names

Parts = dict[str, bytes]


def graph() -> bytes:
    """Return a network of one convolution: uint8 images (N,H,W,3) -> logits of three classes."""
    weights = np.random.default_rng(0).normal(0, 0.05, (3, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels", "weights"], ["network_logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    logits = helper.make_tensor_value_info("network_logits", TensorProto.FLOAT, ["n", 3, "h", "w"])
    made = helper.make_graph(
        nodes, "network", [image], [logits], [numpy_helper.from_array(weights, "weights")]
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def good_parts() -> Parts:
    """Return all parts of a small bundle that is whole, its manifest included."""
    names = feature_names(3)
    ones = [1.0] * len(names)
    fitted = {"feature_names": names, "mean": [0.0] * len(names), "scale": ones, "coefficients": ones}
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 48, 3), np.uint8)).save(
        buffer, format="PNG"
    )
    test = {"step": 16, "entropy": np.zeros((2, 3)).tolist(), "objects": [], "tolerance": 2.0}
    parts = {
        "network.onnx": graph(),
        "meta.json": json.dumps({**linear(), **fitted}).encode(),
        "reference.json": json.dumps(reference().to_dict()).encode(),
        "card.json": json.dumps({"parity": {"mismatches": []}}).encode(),
        "card.md": b"# card\n",
        "self_test.json": json.dumps(test).encode(),
        "self_test.png": buffer.getvalue(),
    }
    manifest = {
        **{"format": "segood-monitor", "version": 1, "label": "tiny", "class_names": ["road", "sky", "car"]},
        **{"frame_size": [32, 48], "working_size": None, "threshold": 0.99, "probability_threshold": 0.5},
        **{
            "region": None,
            "created": "2026-01-01",
            "segood": "0.1",
            "precision": "float32",
            "score": "entropy",
        },
    }
    return with_manifest({**parts, "manifest.json": json.dumps(manifest).encode()})


def with_manifest(parts: Parts, manifest: Any = None) -> Parts:
    """Return the parts with a manifest whose hashes fit them."""
    inner = {name: content for name, content in parts.items() if name != "manifest.json"}
    values = json.loads(parts["manifest.json"]) if manifest is None else manifest
    hashes = {name: dataclasses.asdict(part) for name, part in described(inner).items()}
    if isinstance(values, dict):
        values = {**values, "parts": hashes}
    return {**inner, "manifest.json": json.dumps(values).encode()}


def packed(draw: random.Random | None, parts: Parts) -> bytes:
    """Return a zip file; with a generator, one of odd ways to write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_STORED if draw is None else draw.choice((0, 0, 8, 12, 14))
            archive.writestr(entry, content)
    return buffer.getvalue()


def containers(folder: Path) -> Case:
    """Attack the zip file: its bytes, the names in it, its manifest."""
    good = good_parts()
    whole, path = packed(None, good), folder / "a.segood"
    names = (
        *("../evil", "/etc/passwd", "evil.py", "a/../manifest.json", "signature", "manifest.json/"),
        *good,
    )
    values = json.loads(good["manifest.json"])

    def case(draw: random.Random) -> None:
        kind = draw.random()
        if kind < 0.4:
            content = damaged(draw, whole)
        elif kind < 0.7:
            content = packed(None, {**good, "manifest.json": hostile_json(draw, values)})
        elif kind < 0.8:
            content = packed(None, with_manifest(good, altered(draw, values)) if draw.random() < 0.9 else {})
        else:
            name = draw.choice(list(good))
            changed = {**good, draw.choice(names): damaged(draw, good[name])}
            content = packed(draw, {k: v for k, v in changed.items() if draw.random() < 0.95})
        path.write_bytes(content)
        Bundle.read(path)

    return case


def insides(folder: Path) -> Case:
    """Attack the parts of a bundle whose hashes all fit, and run what loads."""
    good = good_parts()
    path = folder / "a.segood"
    path.write_bytes(packed(None, good))
    Monitor.load(path)
    documents = {name: json.loads(good[name]) for name in good if name.endswith(".json")}
    frame = np.random.default_rng(2).integers(0, 256, (32, 48, 3), np.uint8)

    def case(draw: random.Random) -> None:
        name = draw.choice([n for n in good if n != "card.md"])
        if name == "manifest.json":
            made = with_manifest(good, altered(draw, documents[name]))
        else:
            bad = hostile_json(draw, documents[name]) if name in documents else damaged(draw, good[name])
            made = with_manifest({**good, name: bad})
        path.write_bytes(packed(None, made))
        Monitor.load(path)(frame)

    return case


ATTACKS: dict[str, Attack] = {"bundles: containers": containers, "bundles: parts (slow)": insides}


def output_of(name: str, *dimensions: int | str) -> bytes:
    """Return the network with another declaration of its output."""
    model = onnx.load_from_string(graph())
    model.graph.node[-1].output[0] = name
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions))
    return model.SerializeToString()


def of_whole_frame() -> bytes:
    """Return a network whose declaration fits and whose output has two axes only."""
    model = onnx.load_from_string(output_of("real_logits", "n", 3, "h", "w"))
    model.graph.node.append(helper.make_node("Expand", ["real_logits", "shape"], ["all"]))
    model.graph.node.append(helper.make_node("ReduceMax", ["all", "axes"], ["network_logits"], keepdims=0))
    for name, values in (("axes", [2, 3]), ("shape", [1, 1, 1, 1])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    del model.graph.output[:]
    logits = helper.make_tensor_value_info("network_logits", TensorProto.FLOAT, ["n", 3])
    model.graph.output.append(logits)
    return model.SerializeToString()


def self_test(**parts: Any) -> bytes:
    return json.dumps({**json.loads(good_parts()["self_test.json"]), **parts}).encode()


def frame_of(rows: int, columns: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (columns, rows)).save(buffer, format="PNG")
    return buffer.getvalue()


ONCE_FAILED: dict[str, tuple[str, bytes, str]] = {
    # RuntimeWarning: overflow encountered in cast; OverflowError
    "entropy": ("self_test.json", self_test(entropy=[[1e300] * 3] * 2), "self-test failed"),
    "huge entropy": ("self_test.json", self_test(entropy=[[10**400] * 3] * 2), "self-test .* is damaged"),
    "tolerance": ("self_test.json", self_test(tolerance=10**400), "self-test of the bundle is damaged"),
    "box": ("self_test.json", self_test(objects=[[0, 0, 1, float("inf")]]), "self-test .* is damaged"),
    # ONNX Runtime printed that it tries again; UnicodeDecodeError
    "name": ("network.onnx", graph().replace(b"network_logits", b"network_logit\xe8"), "be read as ONNX"),
    "axes": ("network.onnx", of_whole_frame(), r"must return logits \(N,3,h,w\)"),
    # a warning was printed, and a frame of 90 million pixels went through the network
    "frame": ("self_test.png", frame_of(9000, 10_000), "self-test of the bundle is damaged"),
    "large frame": ("self_test.png", frame_of(7000, 7000), "the frame has more than 33554432 pixels"),
}


@pytest.mark.parametrize("name", list(ONCE_FAILED))
def test_cases_that_once_failed(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    part, content, message = ONCE_FAILED[name]
    path = tmp_path / "a.segood"
    path.write_bytes(packed(None, with_manifest({**good_parts(), part: content})))
    with pytest.raises(SegoodError, match=message):
        Monitor.load(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_a_bundle_holds(cases: int, tmp_path: Path) -> None:
    survive("test_bundles", cases, tmp_path, slower=10)
