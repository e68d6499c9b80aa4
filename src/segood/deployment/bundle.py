"""A monitor as one file: network, thresholds, meta classifier, and what it is made for.

In: parts as bytes and plain data. Out: a zip `….segood`, or a checked `Bundle`. Signing and checking
signatures need the package `cryptography`.

    manifest.json    format, label space, preprocessing, thresholds, region; SHA-256 and size of all parts
    network.onnx     uint8 RGB images (N,H,W,3) -> entropy, classes, logits, network_logits
    meta.json        the meta classifier, if there is one
    reference.json   entropies of the calibration set, if there is one
    card.json        model card, and card.md the same for people
    self_test.json   what the exporter saw on self_test.png
    signature        Ed25519 over manifest.json, if it was signed; the manifest holds the hashes of all parts
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segood.errors import DataError, SegoodError, UsageError
from segood.files import atomic_path
from segood.records import from_dict

if TYPE_CHECKING:
    from segood.deployment.monitor import Monitor
    from segood.deployment.self_test import SelfTest
    from segood.meta.decision import LinearDecision

FORMAT = "segood-monitor"
VERSION = 1

MANIFEST = "manifest.json"
NETWORK = "network.onnx"
META = "meta.json"
REFERENCE = "reference.json"
CARD = "card.json"
CARD_TEXT = "card.md"
SELF_TEST = "self_test.json"
SELF_TEST_IMAGE = "self_test.png"
SIGNATURE = "signature"
PARTS = (NETWORK, META, REFERENCE, CARD, CARD_TEXT, SELF_TEST, SELF_TEST_IMAGE)
REQUIRED = (NETWORK, CARD)

MOST_BYTES = 2**31
"""A bundle's parts together are at most this large; ONNX itself ends here."""


@dataclass(frozen=True)
class Part:
    """What the manifest says of a part: its SHA-256 (hexadecimal) and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a monitor needs to know besides its network.

    Attributes:
        label: what messages call the network.
        class_names: of the logits.
        frame_size: (rows, columns) to which images are resized first, see `Monitor`; None keeps their size.
        working_size: (rows, columns) to which frames are resized before the network; None keeps their size.
        threshold: a pixel is OoD where its normalised entropy reaches this.
        probability_threshold: a segment is removed where its false-positive probability reaches this.
        region: `Region.to_dict()`, or None for the whole image.
        parts: by file name.
        created: date and time, UTC.
        segood: version that wrote it.
        precision: of the network: `float32` or `int8`.
        score: `entropy`.
        format, version: of the file.
    """

    label: str
    class_names: tuple[str, ...]
    frame_size: tuple[int, int] | None
    working_size: tuple[int, int] | None
    threshold: float
    probability_threshold: float
    region: dict[str, Any] | None
    parts: dict[str, Part]
    created: str
    segood: str
    precision: str = "float32"
    score: str = "entropy"
    format: str = FORMAT
    version: int = VERSION


@dataclass(frozen=True)
class Bundle:
    """A monitor's parts, whole and checked.

    Attributes:
        manifest: see there.
        parts: bytes by file name.
    """

    manifest: Manifest
    parts: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def read(
        cls, path: str | Path, *, sha256: str | None = None, public_key: str | Path | None = None
    ) -> Bundle:
        """Read a bundle and check every byte of it.

        Args:
            path: the file.
            sha256: digest that the file must have.
            public_key: PEM file of the Ed25519 key that it must be signed with.

        Raises:
            DataError: see `segood.Monitor.load`.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        if sha256 is not None:
            check_digest(content, sha256, path)
        try:
            raw = _read_parts(content)
            manifest = _read_manifest(raw)
            _check_parts(manifest, raw)
            if public_key is not None:
                check_signature(raw[MANIFEST], raw.get(SIGNATURE), Path(public_key))
        except _BadBundle as error:
            raise DataError(f"{path}: {error}; export it again, or fetch it again") from error
        return cls(manifest, {name: raw[name] for name in manifest.parts})

    def write(self, path: str | Path, private_key: str | Path | None = None) -> str:
        """Write the bundle, atomically and the same byte for byte for the same parts.

        Args:
            path: the file.
            private_key: PEM file of the Ed25519 key to sign with.

        Returns:
            The file's SHA-256, hexadecimal.

        Raises:
            OutputError: it cannot be written.
            UsageError: the key cannot be read, or is of another kind.
        """
        manifest = manifest_bytes(self.manifest)
        entries = {MANIFEST: manifest, **self.parts}
        if private_key is not None:
            entries[SIGNATURE] = sign(manifest, Path(private_key))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in entries.items():
                entry = zipfile.ZipInfo(name)  # its date is that of the zip format's beginning
                entry.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        return hashlib.sha256(buffer.getvalue()).hexdigest()

    @property
    def card(self) -> dict[str, Any]:
        """The model card, as plain data."""
        return _json(self.parts[CARD], CARD)

    @cached_property
    def self_test(self) -> SelfTest | None:
        """What the exporter saw on the stored frame."""
        from segood.deployment.self_test import SelfTest

        if SELF_TEST not in self.parts:
            return None
        return SelfTest.from_parts(_json(self.parts[SELF_TEST], SELF_TEST), self.parts[SELF_TEST_IMAGE])

    def decision(self) -> LinearDecision | None:
        """Return the meta classifier, if there is one."""
        from segood.meta.decision import LinearDecision

        if META not in self.parts:
            return None
        return LinearDecision.parse(self.parts[META], META)

    def monitor(self) -> Monitor:
        """Return the monitor that the bundle describes."""
        from segood.deployment.drift import EntropyReference
        from segood.deployment.monitor import Monitor
        from segood.deployment.networks import OnnxMonitorNetwork
        from segood.segments.region import stored_region

        manifest = self.manifest
        network = OnnxMonitorNetwork(
            self.parts[NETWORK], manifest.class_names, manifest.working_size, manifest.label
        )
        monitor = Monitor(
            network,
            threshold=manifest.threshold,
            meta=self.decision(),
            probability_threshold=manifest.probability_threshold,
            region=stored_region(manifest.region),
            frame_size=manifest.frame_size,
        )
        monitor.card = self.card
        if REFERENCE in self.parts:
            monitor.reference = EntropyReference.from_dict(_json(self.parts[REFERENCE], REFERENCE))
        return monitor


def described(parts: Mapping[str, bytes]) -> dict[str, Part]:
    """Return what a manifest says of parts."""
    return {name: Part(hashlib.sha256(b).hexdigest(), len(b)) for name, b in parts.items()}


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return a manifest as it is stored, and signed."""
    values = {**vars(manifest), "parts": {name: vars(part) for name, part in manifest.parts.items()}}
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()


def check_digest(content: bytes, sha256: str, path: Path) -> None:
    """Raise `DataError` unless the bytes have this SHA-256."""
    wanted = sha256.strip().lower()
    if len(wanted) != 64 or any(c not in "0123456789abcdef" for c in wanted):
        raise UsageError(f"`sha256` must be 64 hexadecimal digits; got {sha256!r}")
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise DataError(
            f"{path}: has SHA-256 {found}, not {wanted}: it is another file, or somebody changed it"
        )


def sign(content: bytes, private_key: Path) -> bytes:
    """Return the Ed25519 signature of bytes, 64 of them."""
    serialization, ed25519, _ = _cryptography()
    key = _load_key(private_key, lambda pem: serialization.load_pem_private_key(pem, password=None))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(
            f"{private_key}: must hold an Ed25519 private key (openssl genpkey -algorithm ed25519)"
        )
    return key.sign(content)  # type: ignore[no-any-return]


def check_signature(content: bytes, signature: bytes | None, public_key: Path) -> None:
    """Raise unless the signature is that of the key's owner over these bytes."""
    serialization, ed25519, invalid = _cryptography()
    key = _load_key(public_key, serialization.load_pem_public_key)
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{public_key}: must hold an Ed25519 public key (openssl pkey -pubout)")
    if signature is None:
        raise _BadBundle(f"is not signed, but {public_key} is to vouch for it")
    try:
        key.verify(signature, content)
    except invalid:
        raise _BadBundle(f"is not signed by the owner of {public_key}, or was changed since") from None


class _BadBundle(SegoodError):
    """What is wrong with a bundle, without the name of its file."""


def _read_parts(content: bytes) -> dict[str, bytes]:
    known = {MANIFEST, SIGNATURE, *PARTS}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            names = [e.filename for e in entries]
            foreign = sorted(set(names) - known)
            if foreign:
                raise _BadBundle(f"is no monitor bundle: it holds {foreign[0][:80]!r}")
            if len(set(names)) != len(names):
                raise _BadBundle("holds a part twice")
            if MANIFEST not in names:
                raise _BadBundle(f"is no monitor bundle: it has no {MANIFEST}")
            if sum(e.file_size for e in entries) > MOST_BYTES:
                raise _BadBundle(f"its parts are larger than {MOST_BYTES >> 30} GiB")
            return {e.filename: _read_entry(archive, e) for e in entries}
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
    ) as e:
        raise _BadBundle(f"is no zip file, or a damaged one ({e})") from e


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Read one entry, no byte more than it says it has: what unpacks to more is no bundle."""
    import zlib

    try:
        with archive.open(entry) as handle:
            content = handle.read(entry.file_size + 1)
    except (RuntimeError, zlib.error) as error:  # encrypted; damaged
        raise _BadBundle(f"{entry.filename} cannot be unpacked ({error})") from error
    if len(content) != entry.file_size:
        raise _BadBundle(f"{entry.filename} has another size than it says")
    return content


def _read_manifest(raw: Mapping[str, bytes]) -> Manifest:
    values = _json(raw[MANIFEST], MANIFEST)
    if values.get("format") != FORMAT:
        raise _BadBundle(f"is no monitor bundle: its {MANIFEST} is of another format")
    if values.get("version") != VERSION:
        raise _BadBundle(f"is of version {values.get('version')!r}; this segood reads {VERSION}")
    for name, (rule, holds) in _RULES.items():
        if name not in values or not holds(values[name]):
            raise _BadBundle(f"`{name}` in its {MANIFEST} must be {rule}")
    try:
        return from_dict(Manifest, values)
    except TypeError as error:
        raise _BadBundle(f"its {MANIFEST} breaks a rule: {error}") from error


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(type(v) is int and 0 < v <= 2**15 for v in value)
    )


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_part(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"sha256", "size"}
        and isinstance(value["sha256"], str)
        and type(value["size"]) is int
    )


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 2 and all(isinstance(v, str) for v in value)


_TEXT: tuple[str, Callable[[Any], bool]] = ("text", lambda value: isinstance(value, str))
_SHARE: tuple[str, Callable[[Any], bool]] = ("a number in [0, 1]", _is_share)
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "label": _TEXT,
    "class_names": ("a list of at least two names", _are_names),
    "frame_size": ("[rows, columns] or null", lambda value: value is None or _is_size(value)),
    "working_size": ("[rows, columns] or null", lambda value: value is None or _is_size(value)),
    "threshold": _SHARE,
    "probability_threshold": _SHARE,
    "region": ("an object or null", lambda value: value is None or isinstance(value, dict)),
    "parts": (
        "an object of hashes and sizes",
        lambda value: isinstance(value, dict) and all(map(_is_part, value.values())),
    ),
    "created": _TEXT,
    "segood": _TEXT,
    "precision": ("float32 or int8", lambda value: value in ("float32", "int8")),
    "score": ("entropy", lambda value: value == "entropy"),
}


def _check_parts(manifest: Manifest, raw: Mapping[str, bytes]) -> None:
    for name in REQUIRED:
        if name not in manifest.parts:
            raise _BadBundle(f"has no {name}")
    if (SELF_TEST in manifest.parts) != (SELF_TEST_IMAGE in manifest.parts):
        raise _BadBundle(f"has only one of {SELF_TEST} and {SELF_TEST_IMAGE}")
    for name in sorted({*raw} - {MANIFEST, SIGNATURE} | {*manifest.parts}):
        if name not in raw:
            raise _BadBundle(f"{name} is missing: the file is incomplete")
        if name not in manifest.parts:
            raise _BadBundle(f"{name} is not in its {MANIFEST}")
        part = manifest.parts[name]
        if part.size != len(raw[name]) or part.sha256 != hashlib.sha256(raw[name]).hexdigest():
            raise _BadBundle(f"{name} is not what its {MANIFEST} says: it is damaged or was exchanged")


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _BadBundle(f"{name} is no JSON ({error})") from error
    if not isinstance(values, dict):
        raise _BadBundle(f"{name} must hold an object")
    return values


def _cryptography() -> tuple[Any, Any, Any]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UsageError("signatures need the package cryptography; pip install cryptography") from None
    return serialization, ed25519, InvalidSignature


def _load_key(path: Path, load: Any) -> Any:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot read the key ({error.strerror})") from error
    except Exception as error:  # the library raises ValueError, TypeError and its own
        raise UsageError(f"{path}: holds no key in PEM format ({type(error).__name__})") from error
