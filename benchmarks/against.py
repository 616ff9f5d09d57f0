"""Speed compared with an earlier commit's, measured by turns: git worktree add FOLDER ae4a8f4; pip install pooch.

Training steps and the reading of a table run in one lasting process for each of both; commands of train.py are started
anew each time. Of all turns the median counts. Both use this Python and its packages.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import commands

BATCH, IMAGES, TURNS, LAMBDAS = 16, 64, 7, (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
ROWS = 1_000_000  # of the table
HERE = Path(__file__).parents[1]

# each process prints that it is ready, then runs the loop that each line of its input names and prints its time
PROCESS = """
import entreg, logging, sys, tempfile, time  # entreg first, as in train.py: it says how long OpenMP's threads spin
from pathlib import Path
logging.basicConfig(level=logging.ERROR)
with tempfile.TemporaryDirectory(prefix="entreg-bench-") as folder:
    from {module} import loops
    work = loops(Path(folder), Path({table!r}))
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        work[line.strip()]()
        print(time.perf_counter() - started, flush=True)
"""
# the same loops for the earlier commit
EARLIER = f"""
from dataclasses import replace
from benchmarks import generated
from entreg.data import table as tables
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically, keep_freed_memory
from entreg.train.company import Company
from entreg.train.trainer import Trainer
def loops(folder, table):
    compute_deterministically()
    keep_freed_memory()
    made = generated.study(folder / "store", {IMAGES}, generated.settings())
    def loop(*losses):
        slots = []
        for loss, every, weight in losses:
            config = generated.settings(loss, every)
            config.loss.lambda_entropy = weight
            slots.append(Trainer(replace(made, config=config), RunFolder(folder / str(len(slots)))).slot)
        company = Company(slots)
        def epoch():
            for k in range(0, {IMAGES}, {BATCH}):
                company.step(list(range(k, k + {BATCH})), k // {BATCH})
        return epoch
    six = [("nll_entropy", 10, weight) for weight in {LAMBDAS}]
    return {{"alone": loop(("nll", 10, 1.0)), "entropy": loop(("nll_entropy", 1, 1.0)), "six": loop(*six),
            "eighteen": loop(*six, *six, *six), "table": lambda: tables.read(table)}}
"""


def loops(folder: Path, table: Path) -> dict[str, Callable[[], object]]:
    """Return functions for an epoch of 1, 6 and 18 runs, of one with the entropy in every step, and for a table."""
    from benchmarks import generated
    from entreg.config.tables import TableData
    from entreg.data import fixation_table
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

    six = [("nll_entropy", 10, weight) for weight in LAMBDAS]
    return {
        "alone": loop(("nll", 10, 1.0)),
        "entropy": loop(("nll_entropy", 1, 1.0)),
        "six": loop(*six),
        "eighteen": loop(*six, *six, *six),
        "table": lambda: fixation_table.read(TableData(root=str(table.parent))),
    }


def measure(earlier: Path, folder: Path) -> dict[str, Any]:
    """Return the medians of both (seconds), and this code's shares of the earlier commit's."""
    seconds = _loops_by_turns(earlier, folder)
    print(", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()), flush=True)
    added = {who: seconds[f"{who}_entropy"] - seconds[f"{who}_alone"] for who in ("ours", "earlier")}
    ratios = {f"against_{what}": seconds[f"ours_{what}"] / seconds[f"earlier_{what}"] for what in _LOOPS}
    ratios["against_entropy"] = added["ours"] / added["earlier"]
    return ratios | commands.measure(earlier, HERE, folder) | {"against_seconds": seconds}


_LOOPS = ("alone", "entropy", "six", "eighteen", "table")


def _loops_by_turns(earlier: Path, folder: Path) -> dict[str, float]:
    """Return the median seconds of each loop of both, after one turn that is not counted."""
    (folder / "earlier_loops.py").write_text(EARLIER)
    table = folder / "fixations.csv"
    with table.open("w") as file:
        file.write("image,subject,order,x,y,duration_s\n")
        file.writelines(f"{i % 1000}.png,S{i % 50},{i // 1000},{i % 640}.25,{i % 480}.5,0.2\n" for i in range(ROWS))
    with (
        _serving("benchmarks.against", [HERE], table) as ours,
        _serving("earlier_loops", [earlier, folder], table) as theirs,
    ):
        both = {"ours": ours, "earlier": theirs}
        turns: dict[str, list[float]] = {}
        for turn in range(TURNS + 1):
            for what in _LOOPS:
                for who, process in both.items():
                    seconds = _ask(process, what)
                    if turn:
                        turns.setdefault(f"{who}_{what}", []).append(seconds)
    return {name: statistics.median(values) for name, values in turns.items()}


@contextmanager
def _serving(module: str, folders: Sequence[Path], table: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that runs the loops of a module which lies in one of the folders."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS.format(module=module, table=str(table))],
        cwd=folders[0],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready", f"{module} did not start"
        yield process
    finally:
        process.stdin.close()  # it ends, and removes its folder
        process.wait()


def _ask(process: subprocess.Popen[str], what: str) -> float:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(what + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())
