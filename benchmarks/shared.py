"""The speed of a training beside two busy processes, relative to its speed alone.

OpenMP reads when it is loaded how long a waiting thread spins before it sleeps, so each spin count has its own process,
and the processes are measured in turns.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TURNS, TURN_S = 9, 1.0
BUSY = 2
# the GOMP_SPINCOUNT of each process; None: entreg's own
SPINS: dict[str, str | None] = {"entreg": None, "libgomp": "300000", "asleep": "0"}


class Training:
    """A process that takes training steps for as long as it is told to and then waits."""

    def __init__(self, spin: str | None) -> None:
        known = {key: value for key, value in os.environ.items() if not key.startswith(("GOMP_", "OMP_"))}
        self._process = subprocess.Popen(
            (sys.executable, "-m", "benchmarks.shared"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=known | ({} if spin is None else {"GOMP_SPINCOUNT": spin}),
        )

    def images_per_s(self, seconds: float) -> float:
        """Return its rate over so many seconds."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def busy() -> Iterator[None]:
    """Run processes that compute without a pause within the `with`."""
    processes = [subprocess.Popen((sys.executable, "-c", "while True: pass")) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


def measure(spins: Mapping[str, str | None] = SPINS, turns: int = TURNS) -> dict[str, float]:
    """Return the medians, over turns, of the rates and of the ratios within a turn."""
    trainings = {name: Training(spin) for name, spin in spins.items()}
    alone: dict[str, list[float]] = {name: [] for name in spins}
    beside: dict[str, list[float]] = {name: [] for name in spins}
    for turn in range(turns + 1):
        for name, training in random.Random(turn).sample(list(trainings.items()), len(trainings)):
            rate = training.images_per_s(TURN_S)
            with busy():
                slowed = training.images_per_s(TURN_S)
            if turn:  # the first turn is not counted
                alone[name].append(rate)
                beside[name].append(slowed)
    for training in trainings.values():
        training.end()
    medians = {}
    for name in spins:
        medians[f"shared_{name}_alone_images_per_s"] = statistics.median(alone[name])
        medians[f"shared_{name}_beside_busy_images_per_s"] = statistics.median(beside[name])
        medians[f"shared_{name}_kept"] = statistics.median(
            slowed / rate for slowed, rate in zip(beside[name], alone[name], strict=True)
        )
        medians[f"shared_{name}_alone_of_libgomp"] = statistics.median(
            rate / usual for rate, usual in zip(alone[name], alone["libgomp"], strict=True)
        )
    return medians


def _serve() -> None:
    # imported before PyTorch loads OpenMP, as in a training
    import entreg.config  # noqa: F401
    from benchmarks import fresh, generated, speed

    fresh.prepare()
    with tempfile.TemporaryDirectory(prefix="entreg-bench-") as temporary:
        folder = Path(temporary)
        step = speed.Steps(generated.study(folder / "store", 64, generated.settings()), folder)
        step()
        for line in sys.stdin:
            started, images = time.perf_counter(), 0
            while time.perf_counter() - started < float(line):
                step()
                images += 32
            print(images / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    _serve()
