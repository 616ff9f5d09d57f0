"""Training steps of this code compared with an earlier commit's, measured in turns in two processes.

Of all turns the least wall and CPU times count. The earlier commit is a checkout of f7f6b1e, whose benchmarks are in
tests/bench: git worktree add FOLDER f7f6b1e
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

BATCH, IMAGES, TURNS, LAMBDAS = 16, 64, 8, (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

# each process prints that it is ready, then runs the loop that each line of its input names and prints its times
PROCESS = """
import logging, sys, tempfile, time
from pathlib import Path
logging.basicConfig(level=logging.ERROR)
with tempfile.TemporaryDirectory(prefix="entreg-bench-") as folder:
    from {module} import loops
    work = loops(Path(folder))
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter(), time.process_time()
        work[line.strip()]()
        print(time.perf_counter() - started[0], time.process_time() - started[1], flush=True)
"""
# the same loops for the earlier commit
EARLIER = """
from dataclasses import replace
from entreg.engine.training import Trainer
from entreg.engine.hardware import compute_deterministically
from tests.bench import generated
def loops(folder):
    compute_deterministically()
    made = generated.study(folder / "store", {images}, generated.settings())
    def loop(loss, every):
        trainer = Trainer(replace(made, config=generated.settings(loss, every)), folder)
        def epoch():
            for k in range(0, {images}, {batch}):
                trainer._train_step(list(range(k, k + {batch})), k // {batch}, False)
        return epoch
    return {{"alone": loop("nll", 10), "entropy": loop("nll_entropy", 1)}}
"""


def loops(folder: Path) -> dict[str, Any]:
    """Return functions for an epoch of one run, of one with the entropy in every step, and of six lambdas together."""
    from benchmarks import generated
    from entreg.distributed.hardware import compute_deterministically, keep_freed_memory
    from entreg.runs.folder import RunFolder
    from entreg.training.trainer import Trainer
    from entreg.training.training_group import TrainingGroup

    compute_deterministically()
    keep_freed_memory()
    made = generated.study(folder / "store", IMAGES, generated.settings())

    def loop(*losses: tuple[str, int, float]) -> Callable[[], None]:
        trainers: list[Trainer] = []
        for loss, every, weight in losses:
            config = generated.settings(loss, every)
            config.loss.lambda_entropy = weight
            trainers.append(Trainer(replace(made, config=config), RunFolder(folder / str(len(trainers)))))
        group = TrainingGroup(trainers)

        def epoch() -> None:
            for k in range(0, IMAGES, BATCH):
                group.step(list(range(k, k + BATCH)), k // BATCH)

        return epoch

    return {
        "alone": loop(("nll", 10, 1.0)),
        "entropy": loop(("nll_entropy", 1, 1.0)),
        "six": loop(*(("nll_entropy", 10, weight) for weight in LAMBDAS)),
    }


def measure(earlier: Path, folder: Path) -> dict[str, float]:
    """Return milliseconds per image (and run) and ratios to the earlier commit, for wall and CPU times."""
    (folder / "earlier_loops.py").write_text(EARLIER.format(images=IMAGES, batch=BATCH))
    here = Path(__file__).parents[1]
    ours = _process("benchmarks.against", [here])
    theirs = _process("earlier_loops", [earlier, folder])
    least: dict[str, tuple[float, float]] = {}
    try:
        for _ in range(TURNS):
            for name, process, what, runs in (
                ("earlier_step", theirs, "alone", 1),
                ("step", ours, "alone", 1),
                ("six_together", ours, "six", 6),
                ("earlier_entropy", theirs, "entropy", 1),
                ("entropy", ours, "entropy", 1),
            ):
                wall, cpu = (seconds * 1e3 / IMAGES / runs for seconds in _ask(process, what))
                before = least.get(name, (wall, cpu))
                least[name] = min(before[0], wall), min(before[1], cpu)
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()
    result: dict[str, float] = {}
    for i, time in enumerate(("", "_cpu")):
        result |= {f"{name}{time}_ms_per_image": both[i] for name, both in least.items()}
        step, earlier_step = least["step"][i], least["earlier_step"][i]
        added, earlier_added = least["entropy"][i] - step, least["earlier_entropy"][i] - earlier_step
        result[f"step{time}_ratio"] = step / earlier_step
        result[f"six_together{time}_ratio"] = least["six_together"][i] / earlier_step
        result[f"entropy_added{time}_ratio"] = added / earlier_added
    return result


def _process(module: str, folders: list[Path]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS.format(module=module)],
        cwd=folders[0],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready", f"{module} did not start"
    return process


def _ask(process: subprocess.Popen[str], what: str) -> list[float]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(what + "\n")
    process.stdin.flush()
    return [float(word) for word in process.stdout.readline().split()]
