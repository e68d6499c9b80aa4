"""Kernels compiled at run time by Numba, and the one setting of how many threads they use.

In: a Python function on arrays. Out: the same, as machine code that releases the interpreter lock, kept
on disk for the next process. Work is split over threads by `run_parallel`, not by the compiler: such
threads may be started from any thread and after a fork, as in the workers of a `DataLoader`.

Threads: `set_num_threads(n)` or the environment variable `SEGOOD_NUM_THREADS`; otherwise as many as
PyTorch uses (`torch.set_num_threads`, `OMP_NUM_THREADS`), or one per available core without PyTorch. In a
`DataLoader` worker there is one, because the workers are the parallelism.

Without Numba, or with `SEGOOD_KERNELS=0`, callers take their plain NumPy or PyTorch path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from segood.errors import UsageError

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

_chosen: int | None = None
_pools: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()


def kernels_enabled() -> bool:
    """Tell whether compiled kernels are used: Numba is installed and `SEGOOD_KERNELS` is not `0`."""
    return os.environ.get("SEGOOD_KERNELS", "1") != "0" and _numba_compiles()


@lru_cache(maxsize=1)
def _numba_compiles() -> bool:
    try:
        import numba
    except ModuleNotFoundError as error:
        if error.name != "numba":
            _warn_of(error)
        return False
    except (ImportError, OSError) as error:  # not made for this NumPy, or without its shared library
        _warn_of(error)
        return False
    return not numba.config.DISABLE_JIT


def _warn_of(error: Exception) -> None:
    warnings.warn(
        f"Numba is installed, but cannot be imported, so segood computes without kernels: {error}",
        RuntimeWarning,
        stacklevel=4,
    )


def kernel(function: Function) -> Function:
    """Compile `function` at its first call (seconds) and keep the result on disk (milliseconds).

    Sums may be reordered, and products fused with sums; NaN and infinity keep their meaning; a division
    by zero gives them, as in NumPy. Only for modules that are imported where `kernels_enabled()`.
    """
    import numba
    from numba.core.caching import FunctionCache

    class OptionalCache(FunctionCache):
        """A cache that may be read-only, full, or vanish: then the kernel is compiled in every process."""

        def _index_key(self, *args: Any) -> Any:
            # Numba looks at the one file that defines a kernel; kernels also call those of other files, and
            # what is compiled depends on the flags below.
            return (*super()._index_key(*args), _source_digest())

        def load_overload(self, *args: Any) -> Any:
            try:
                return super().load_overload(*args)
            except OSError:
                return None

        def save_overload(self, *args: Any) -> None:
            with contextlib.suppress(OSError):
                super().save_overload(*args)

    # No NaN or infinity is assumed away: kernels find them in their results.
    flags = {"reassoc", "contract", "nsz", "arcp"}
    dispatcher = numba.njit(nogil=True, error_model="numpy", fastmath=flags)(function)
    with contextlib.suppress(RuntimeError):  # there is no directory to write to
        dispatcher._cache = OptionalCache(function)
    return dispatcher  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in [Path(__file__), *sorted(Path(__file__).parent.rglob("*_kernels.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def set_num_threads(count: int | None) -> None:
    """Choose how many threads kernels use in this process.

    Args:
        count: at least 1; None means the default of this module's header.

    Raises:
        UsageError: `count` is no whole number, or below 1.

    Example:
        >>> set_num_threads(2)
        >>> num_threads()
        2
        >>> set_num_threads(None)
    """
    global _chosen
    if count is not None and not (isinstance(count, int) and count >= 1):
        raise UsageError(f"`count` must be a number of threads, at least 1; got {count!r}")
    _chosen = count


def num_threads() -> int:
    """Return how many threads the next kernel uses.

    Raises:
        UsageError: `SEGOOD_NUM_THREADS` is no number of threads.
    """
    torch = sys.modules.get("torch")
    workers = sys.modules.get("torch.utils.data")
    if workers is not None and workers.get_worker_info() is not None:
        return 1
    if _chosen is not None:
        return _chosen
    setting = os.environ.get("SEGOOD_NUM_THREADS")
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise UsageError(f"SEGOOD_NUM_THREADS must be a number of threads, at least 1; got {setting!r}")
        return int(setting)
    if torch is not None:
        return int(torch.get_num_threads())
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def run_parallel(work: Callable[[int], Result], count: int) -> list[Result]:
    """Call `work(0) … work(count - 1)` on `num_threads()` threads.

    Args:
        work: mostly a kernel, so that the threads do not wait for the interpreter.
        count: how many pieces; take more than threads, so that they end together.

    Returns:
        What the calls returned, in order of the pieces.

    Raises:
        Exception: the first one that a piece raised; no further piece is begun, and none still runs.
    """
    threads = min(num_threads(), count)
    if threads <= 1:
        return [work(piece) for piece in range(count)]
    results: list[Any] = [None] * count
    errors: list[BaseException] = []
    pieces = iter(range(count))  # shared: each thread takes the next piece that is left

    def drain() -> None:
        try:
            for piece in pieces:
                results[piece] = work(piece)
        except BaseException as error:
            errors.append(error)
            deque(pieces, maxlen=0)  # nobody shall begin another one

    others = _start(drain, threads - 1)
    drain()  # this thread works, too: one less to wake
    for other in others:
        # What has not begun finds no piece left: waiting for it would mean waiting for other callers' work.
        if not other.cancel():
            other.result()
    if errors:
        raise errors.pop(0)  # kept in this frame, it would keep the frame and its arrays
    return results


def _start(drain: Callable[[], None], number: int) -> list[Future[None]]:
    started: list[Future[None]] = []
    pool = _pool(num_threads())
    try:
        for _ in range(number):
            started.append(pool.submit(drain))
    except RuntimeError as error:
        # When the main thread has ended, pools take no more work, though other threads may go on.
        if "shutdown" not in str(error):
            raise
    return started


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="segood")
        return _pools[threads]


def _after_fork() -> None:
    """Forget the parent's threads, which a forked child does not have."""
    global _lock
    _pools.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
