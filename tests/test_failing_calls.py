"""Every call of a study that changes a file fails, the first, the second, and so on.

The run ends with an error that names the file, what was there before is untouched, and the same command goes on to the
same bits.

As SQLite is tested (sqlite.org/testing.html, "I/O error testing"), with ENOSPC, EIO, EACCES and EROFS in turn, and
each call with two of them: another one where it fails for good than where it fails once.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entreg.data import image_hashes
from tests.faults import calls
from tests.miniature import CHECKPOINTS, Miniature, differences

NUMBERS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
EVERY = int(os.environ.get("FAULT_EVERY", "1"))


class Tried:
    """Faults that were tried of a command, and what came of them."""

    def __init__(self, study: Miniature, command: str, trace: Path) -> None:
        """What was kept of the study is what the command begins with."""
        self._study, self._command, self._trace = study, command, trace
        study.bring_back()
        self.before = study.content()
        study.run(command, self._fault(0, False))
        self.expected = study.content()
        self.calls = [(kind, Path(path)) for _, kind, path in calls(trace)]
        self.ended, self.went_on = Counter[str](), Counter[str]()

    def fail(self, at: int, for_good: bool) -> bool:
        """The at-th call fails, once or with all later ones of its kind; False where there were not so many."""
        study = self._study
        study.bring_back()
        run = study.start(self._command, self._fault(at, for_good))
        code, said = run.end(), run.output
        traced = calls(self._trace)
        failed = [(kind, path) for how, kind, path in traced if how == "failed"]
        if not failed:
            assert code == 0, said
            return False
        where = f"{self._command}: call {at} {'and later ones' if for_good else 'once'}: {failed}\n{said}"
        assert "Traceback" not in said and "Logging error" not in said, where
        if code == 0:
            self.went_on[_named(*failed[0])] += 1
            assert any(_is_harmless(kind, path) for kind, path in failed), where
        else:
            self.ended[failed[0][0]] += 1
            assert code == 1, where
            message = said[said.index("Error executing job") :]
            assert any(name in message for _, path in failed for name in _names(path)), where
        left = study.content()  # whole, each of them
        assert all(left.get(path) == content for path, content in self.before.items()), where
        self._assert_checkpoints_are_kept(traced, left, where)
        study.run(self._command, self._fault(0, False))
        differ = differences(study.content(), self.expected)
        assert differ == [], f"{where}\ndiffer after all: {differ}"
        return True

    def _assert_checkpoints_are_kept(self, traced: list[Any], left: dict[str, Any], where: str) -> None:
        """Each that had taken its place is there, whole, as it was or later; of the last one there is the final one."""
        replaced = [Path(path).name for how, kind, path in traced if (how, kind) == ("done", "replace")]
        put = Counter(found[1] for name in replaced if (found := re.fullmatch(r"\.(.*\.pt)\.\w+\.tmp", name)))
        for name, times in put.items():
            if name == "last.pt":
                assert self._study.epochs_kept() >= times, where
            else:
                assert f"{CHECKPOINTS}/{name}" in left, where

    def _fault(self, at: int, for_good: bool) -> dict[str, Any]:
        return {
            "below": str(self._study.folder),
            "trace": str(self._trace),
            "at": at,
            "number": NUMBERS[(at + for_good) % len(NUMBERS)],
            "for_good": for_good,
        }


def _names(path: str) -> Iterator[str]:
    """How a message may name a file: a temporary one by what it would become, a part of a folder by the folder."""
    place = Path(path)
    yield place.name
    if place.name.endswith(".tmp"):
        yield place.name[1:-13]
    yield str(place.parent).removesuffix(".partial")


def _named(kind: str, path: str) -> str:
    *_, name = _names(Path(path).name) if path.endswith(".tmp") else (Path(path).name,)
    return f"{kind} {name}"


def _is_harmless(kind: str, path: str) -> bool:
    """Without links a file is created otherwise; a log that is not complete and a claim that stays are said.

    The recipe of a store is written a second time where the first did not come to be (`features/store_builder.py`).
    """
    is_claim = path.endswith((".owner", "owner.json"))
    if re.search(r"\.partial/\.recipe\.json\.\w+\.tmp$", path):
        return True
    is_kept_hash = image_hashes.FOLDER in Path(path).parts  # which the next process computes again
    is_owed = "/figures" in path  # a picture of a training, which the same command draws
    return kind == "link" or is_owed or is_kept_hash or path.endswith("train.log") or (kind == "unlink" and is_claim)


@pytest.fixture
def tried(study, tmp_path):
    """tried(command): see `Tried`; what comes before the command is there."""

    def begin(command: str) -> Tried:
        study.empty()
        if command != "train":
            study.run(
                "train",
                {"below": str(study.folder), "trace": str(tmp_path / "trace"), "at": 0, "number": 0, "for_good": False},
            )
            study.take_photos(1)
        study.keep()
        return Tried(study, command, tmp_path / "trace")

    return begin


@pytest.fixture
def disk(study):
    """disk(size): a file system of so many bytes where the study lies; a second call makes it as large as it says."""
    study.empty()
    mounted = []

    def sized(size: int) -> bool:
        again = "remount," if mounted else ""
        done = subprocess.run(("mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", study.folder), check=False)
        mounted.extend([size] * (done.returncode == 0))
        return bool(mounted)

    yield sized
    if mounted:
        subprocess.run(("umount", "-l", study.folder), check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_disk_that_is_full_is_said_in_a_line_and_a_larger_one_gone_on_with(study, disk, share):
    study.run("train")
    expected, used = study.content(), sum(path.stat().st_size for path in study.folder.rglob("*"))
    if not disk(int(share * used)):
        pytest.skip("this root may not mount a file system")
    run = study.start("train")
    assert run.end() == 1, run.output
    message = run.output[run.output.index("Error executing job") :].splitlines()[1]
    assert re.search(f"^(cannot draw .* )?{study.folder}.*(No space left on device|are free)", message), run.output
    assert "Traceback" not in run.output
    study.content()  # whole, each of them
    disk(64_000_000)
    study.run("train")
    assert differences(study.content(), expected) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_whichever_call_fails_nothing_is_lost(tried, command, capsys):
    one = tried(command)
    for for_good in (False, True):
        at = 1
        while one.fail(at, for_good):
            at += EVERY
    with capsys.disabled():
        print(
            f"\n{command}: {len(one.calls)} calls, each made to fail once and for good; went on after "
            f"{sum(one.went_on.values())}, ended after {sum(one.ended.values())}"
        )
        print(f"  went on: {dict(one.went_on)}\n  ended: {dict(one.ended)}")
    assert sum(one.ended.values()) > sum(one.went_on.values())


def test_a_failing_call_of_a_training_loses_nothing(tried):
    """Two of them, once and for good: of a row of the store, of the last file."""
    one = tried("train")
    chosen = [("pwrite", "64x96.bin"), ("write", ".final.pt.")]
    for turn, (kind, name) in enumerate(chosen):
        at = [i for i, (k, path) in enumerate(one.calls, 1) if k == kind and path.name.startswith(name)]
        assert one.fail(at[-1], for_good=turn % 2 == 1)
    assert sum(one.ended.values()) == len(chosen)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_disk_that_is_full_while_predictions_hdf5_is_written(study, disk, share):
    """HDF5's own writes, which no other test makes fail: one line, nothing half, and the same command goes on."""
    if not disk(64_000_000):
        pytest.skip("this root may not mount a file system")
    study.run("train")
    study.take_photos(5)
    study.run("predict")
    expected, whole = study.content(), study.folder / "outputs/predicted/log_densities.hdf5"
    size = whole.stat().st_size
    whole.unlink()
    usage = shutil.disk_usage(study.folder)
    disk(usage.used + int(share * size))
    run = study.start("predict")
    assert run.end() == 1, run.output
    message = run.output[run.output.index("Error executing job") :].splitlines()[1]
    assert re.search(f"^{whole}: cannot be written: No space left on device$", message), run.output
    assert not list(whole.parent.glob(".*.tmp")) and not whole.exists()
    disk(64_000_000)
    study.run("predict")
    assert differences(study.content(), expected) == []
