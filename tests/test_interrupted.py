"""Runs that are interrupted, doubled, or started on machines of another kind: what is said, and what is left."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, SMALL

WORDS = (*SMALL, "trainer.epochs=20", "loss=nll_entropy", "loss.every=2", "hardware=cpu", "hardware.threads=1")
TIMING = ("images_per_s", "seconds")


class Started:
    """train.py in a session of its own, as a terminal starts it."""

    def __init__(self, folder: Path, *words: str, around: tuple[str, ...] = (), **environment: str) -> None:
        self.process = subprocess.Popen(
            (*around, sys.executable, str(ROOT / "train.py"), *words),
            cwd=folder,
            text=True,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout_s: float = 120) -> None:
        """Until a line holds the pattern."""
        deadline = time.monotonic() + timeout_s
        while not any(re.search(pattern, line) for line in list(self.lines)):
            if self.process.poll() is not None and not self._reader.is_alive():
                raise AssertionError(f"ended with {self.process.returncode} before {pattern}:\n{self.output}")
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def signal_all(self, number: int) -> None:
        """To every process of the session, as Ctrl-C in a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self, timeout_s: float = 120) -> int:
        """The exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


@pytest.fixture
def start(tmp_path, store) -> Iterator:
    """start(*words): train.py with these words in tmp_path; what still runs at the end is killed."""
    running = []

    def begin(*words: str, **more) -> Started:
        place = () if any(word.startswith("paths.store=") for word in words) else (f"paths.store={store}",)
        running.append(Started(tmp_path, *words, *place, **more))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.signal_all(signal.SIGKILL)
            one.end()


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory) -> Path:
    """The same training, left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = command(*WORDS, "hydra.run.dir=run", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def history(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)]


def assert_same_to_the_bit(run: Path, expected: Path) -> None:
    ours, theirs = (torch.load(one / "checkpoints/final.pt", weights_only=True)["model"] for one in (run, expected))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert history(run) == history(expected)
    assert (run / "steps.csv").read_text() == (expected / "steps.csv").read_text()


def processes_of(session: int) -> list[int]:
    """Numbers of the processes of a session, but for those that have ended and nobody has waited for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_ctrl_c_saves_and_says_how_to_go_on_and_a_second_process_is_refused(start, command, undisturbed, tmp_path):
    first = start(*WORDS, "study=mine")
    first.wait_for(r"epoch 3/20")
    first.signal_all(signal.SIGSTOP)  # else it may be through before the second one has begun
    second = command(*WORDS, "study=mine", folder=tmp_path)
    assert second.returncode == 1
    said = rf"outputs/mine is being worked on by process {first.process.pid} on \S+, since 20\S+ \S+; "
    assert re.search(
        said + "this process changes nothing there. For a new run type another study=NAME", second.stderr
    ), second.stderr
    assert "Traceback" not in second.stderr and not (tmp_path / "outputs/mine/failure.txt").exists()
    first.signal_all(signal.SIGINT)
    first.signal_all(signal.SIGCONT)
    assert first.end() == 130, first.output
    folder = tmp_path / "outputs/mine"
    assert first.lines[-1] == f"interrupted: the same command with study=mine goes on with {folder}"
    assert "asked to stop: saved at epoch" in first.output and "Traceback" not in first.output
    assert not (tmp_path / "outputs/mine/owner.json").exists()
    again = command(*WORDS, "study=mine", folder=tmp_path)
    assert again.returncode == 0
    assert "resumed from" in again.stdout
    assert_same_to_the_bit(tmp_path / "outputs/mine", undisturbed)


@pytest.mark.parametrize(
    "number, code",
    [
        pytest.param(signal.SIGUSR2, 0, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, -signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_store_build_is_left_at_once_and_gone_on_with(start, tmp_path, number, code):
    """Until now only a training heard: a job that was still building ended in a time-out, and was not requeued."""
    words = ("data.images=24", "data.folds=4", "trainer.epochs=1", "hardware=cpu", "study=mine", "paths.store=store")
    first = start(*words)
    first.wait_for(r"features: 24 images")
    first.signal_all(number)
    started = time.monotonic()
    assert first.end() == code, first.output
    assert time.monotonic() - started < 10
    assert "features: asked to stop; the next run continues the build in" in first.output
    assert "Traceback" not in first.output
    assert list((tmp_path / "store/features").glob("*.partial"))
    again = start(*words)
    assert again.end() == 0, again.output
    assert "an interrupted build is continued" in again.output and "epoch 1/1" in again.output


@pytest.mark.slow
def test_an_evaluation_is_interrupted_too(start, undisturbed, tmp_path):
    run = start("task=evaluate", f"runs={undisturbed}", "study=judged", "hardware=cpu", "ood=[]")
    run.wait_for("1 runs, grouped by")
    run.signal_all(signal.SIGINT)
    assert run.end() == 130, run.output
    assert run.lines[-1].startswith("interrupted: the same command with study=judged goes on")
    assert not (tmp_path / "outputs/judged/results.json").exists() and "Traceback" not in run.output


@pytest.mark.slow
class TestRanks:
    """Two of them."""

    words = (*WORDS, "hardware.devices=2", "study=mine")

    def test_ctrl_c_is_heard_by_all_and_saves(self, start, tmp_path):
        first = start(*self.words)
        first.wait_for(r"epoch 3/20")
        first.signal_all(signal.SIGINT)
        assert first.end() == 130, first.output
        assert "asked to stop: saved at epoch" in first.output and "Traceback" not in first.output
        assert processes_of(first.process.pid) == []
        again, whole = start(*self.words), start(*self.words[:-1], "study=whole")
        assert again.end() == 0 and whole.end() == 0
        assert "resumed from" in again.output
        assert_same_to_the_bit(tmp_path / "outputs/mine", tmp_path / "outputs/whole")

    def test_while_libraries_are_loaded_ctrl_c_is_not_lost(self, start, tmp_path):
        first = start(*self.words)
        while len(processes_of(first.process.pid)) < 3 and first.process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)
        first.signal_all(signal.SIGINT)
        assert first.end() == 130, first.output
        assert "Traceback" not in first.output and processes_of(first.process.pid) == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_one_that_is_ended_from_outside_ends_all(self, start, number):
        """The others must not hold their devices until they give up waiting."""
        first = start(*self.words)
        first.wait_for(r"epoch 3/20")
        ranks = [
            one
            for one in processes_of(first.process.pid)
            if one != first.process.pid and "spawn_main" in Path(f"/proc/{one}/cmdline").read_text()
        ]
        os.kill(max(ranks), number)
        started = time.monotonic()
        assert first.end() == 1, first.output
        assert time.monotonic() - started < 60 and processes_of(first.process.pid) == []
        assert re.search("ended from outside|ended with exit code -9", first.output), first.output

    def test_none_outlives_its_parent(self, start):
        first = start(*self.words)
        first.wait_for(r"epoch 3/20")
        first.process.kill()
        first.end()
        deadline = time.monotonic() + 30
        while processes_of(first.process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert processes_of(first.process.pid) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may rename the host")
    def test_they_meet_on_a_host_whose_name_does_not_resolve(self, start):
        shell = f'hostname nowhere-{os.getpid()} && exec "$@"'
        run = start(
            *WORDS,
            "trainer.epochs=1",
            "hardware.devices=2",
            "study=host",
            around=("unshare", "--uts", "sh", "-c", shell, "sh"),
        )
        assert run.end() == 0, run.output
        assert "epoch 1/1" in run.output


@pytest.mark.slow
def test_a_machine_of_another_kind(start, undisturbed, tmp_path):
    """As on macOS: no posix_fallocate, no sched_getaffinity, and processes are spawned."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(
        "import multiprocessing, os\n"
        "for name in ('posix_fallocate', 'sched_getaffinity', 'sched_setaffinity'):\n    delattr(os, name)\n"
        "multiprocessing.set_start_method('spawn')\n"
    )
    run = start(*WORDS, "study=mine", "paths.store=store", PYTHONPATH=f"{place}{os.pathsep}{ROOT}")
    assert run.end() == 0, run.output
    assert_same_to_the_bit(tmp_path / "outputs/mine", undisturbed)
    ranks = start(*WORDS, "trainer.epochs=1", "hardware.devices=2", PYTHONPATH=f"{place}{os.pathsep}{ROOT}")
    assert ranks.end() == 0, ranks.output
