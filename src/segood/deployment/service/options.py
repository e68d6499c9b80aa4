"""Every limit of the service, in one place, with the memory that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from segood.errors import UsageError


@dataclass(frozen=True)
class ServiceOptions:
    """What the service accepts at most.

    Args:
        max_queue: images accepted and not yet answered, in whatever stage; further ones are refused (429).
        max_batch: images of one size that go through the network together.
        batch_wait_ms: how long an image waits for others of its size.
        max_bytes: of the body of a request.
        max_pixels: of an image, read off its header before it is decoded; also of all images of a batch.
        max_files: images in one request to `/v1/detect/batch`.
        timeout_s: from a request's arrival to its answer.
        decode_threads: decode images and draw answers.
        check_frames: black and badly exposed images are answered with "no verdict", as in `segood predict`.
        api_keys: any of them opens `/v1/`; none: it is open to all who reach it.

    Raises:
        UsageError: a value out of its range.

    Example:
        >>> ServiceOptions(max_queue=4, max_files=4).max_memory_bytes // 2**20
        448
    """

    max_queue: int = 16
    max_batch: int = 4
    batch_wait_ms: float = 5.0
    max_bytes: int = 16 * 2**20
    max_pixels: int = 2**23
    max_files: int = 8
    timeout_s: float = 10.0
    decode_threads: int = 2
    check_frames: bool = True
    api_keys: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("max_queue", "max_batch", "max_bytes", "max_pixels", "max_files", "decode_threads"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"`{name}` must be a whole number, at least 1; got {value}")
        if not (math.isfinite(self.batch_wait_ms) and self.batch_wait_ms >= 0):
            raise UsageError(f"`batch_wait_ms` must be at least 0; got {self.batch_wait_ms}")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise UsageError(f"`timeout_s` must be above 0; got {self.timeout_s}")
        if self.batch_wait_ms >= 1000 * self.timeout_s:
            raise UsageError(
                f"`batch_wait_ms` ({self.batch_wait_ms}) must lie below `timeout_s` ({self.timeout_s} s): "
                "no request would be answered in time"
            )
        if self.max_files > self.max_queue:
            raise UsageError(
                f"`max_files` ({self.max_files}) must not exceed `max_queue` ({self.max_queue}): "
                "a full batch would never be accepted"
            )
        if not all(self.api_keys):
            raise UsageError("an API key must not be empty")

    @property
    def max_memory_bytes(self) -> int:
        """Bound on bodies, pixels and maps of all accepted images; what the network needs comes on top."""
        return self.max_queue * (self.max_bytes + 12 * self.max_pixels)
