"""Where networks compute when nobody says: the GPU of this process, if there is one.

In: the machine, `SEGOOD_DEVICE`, the local rank that torchrun and SLURM give a process. Out: a device.
"""

from __future__ import annotations

import os


def default_device() -> str:
    """Return `SEGOOD_DEVICE` (such as `cpu` or `cuda:1`), else this process' GPU, else `cpu`."""
    import torch

    count = torch.cuda.device_count()
    return os.environ.get("SEGOOD_DEVICE") or (f"cuda:{local_rank() % count}" if count else "cpu")


def local_rank() -> int:
    """Return which of this machine's processes this is, 0 where there is one.

    Example:
        >>> local_rank()
        0
    """
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0
