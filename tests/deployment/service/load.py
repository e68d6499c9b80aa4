"""A bounded client: some threads that ask again and again over kept connections, and count what they get."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Load:
    """What some clients saw.

    Attributes:
        statuses: answers by status.
        seconds: of each answer, by status.
        lost: requests without an answer, as what was raised.
        longest: seconds the load went on.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    longest: float = 0.0

    @property
    def rate(self) -> float:
        """Results per second."""
        return self.statuses[200] / self.longest

    def quantile(self, status: int, share: float) -> float:
        """Return a quantile of the seconds to an answer of this status."""
        values = sorted(self.seconds.get(status, [])) or [float("nan")]
        return values[min(len(values) - 1, int(share * len(values)))]

    def words(self) -> str:
        """Return the numbers in a line."""
        total = sum(self.statuses.values())
        shares = ", ".join(f"{n} × {s} ({n / total:.0%})" for s, n in sorted(self.statuses.items()))
        middle = {s: statistics.median(v) for s, v in self.seconds.items()}
        times = ", ".join(f"{s}: {middle[s]:.3f}/{self.quantile(s, 0.99):.3f} s" for s in sorted(middle))
        head = f"{self.rate:.1f} results/s in {self.longest:.0f} s; {shares}"
        return f"{head}; median/p99 {times}; lost {len(self.lost)}"


def ask_for(
    port: int,
    images: list[bytes],
    *,
    clients: int,
    seconds: float,
    pause: float = 0.0,
    until: Callable[[int], bool] = lambda status: False,
) -> Load:
    """Let `clients` ask for `seconds`; each waits after a refusal, ends after a status that is `until`."""
    load, lock = Load(), threading.Lock()
    start = time.monotonic()

    def one(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        asked = number
        try:
            while time.monotonic() < start + seconds:
                asked += 1
                begun = time.monotonic()
                try:
                    connection.request(
                        "POST", "/v1/detect", images[asked % len(images)], {"Content-Type": "image/png"}
                    )
                    response = connection.getresponse()
                    response.read()
                except (OSError, http.client.HTTPException) as error:
                    with lock:
                        load.lost.append(repr(error))
                    connection.close()
                    return
                with lock:
                    load.statuses[response.status] += 1
                    load.seconds.setdefault(response.status, []).append(time.monotonic() - begun)
                if until(response.status):
                    return
                if response.status != 200:
                    time.sleep(pause)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.longest = time.monotonic() - start
    return load
