"""The table at the end of a sweep."""

from __future__ import annotations

import pytest

from entreg.cli import sweep_table
from entreg.cli.sweep_table import Sweep, table
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import PlannedRun


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep of two runs, of which one failed and one has not started."""
    monkeypatch.chdir(tmp_path)
    folder = SweepFolder(tmp_path / "multirun/study")
    folder.run(0).failure.parent.mkdir(parents=True)
    folder.run(0).failure.write_text("ValueError: this rank broke\n")
    return Sweep(folder, [PlannedRun(["loss=nll", "seed=0"], "0"), PlannedRun(["loss=nll_entropy", "seed=0"], "1")])


def test_a_row_says_what_tells_a_run_from_the_others_and_how_far_it_has_come(sweep):
    first, second, log = table(sweep).splitlines()[2:]
    assert [line.split()[:2] for line in (first, second)] == [["0", "loss=nll"], ["1", "loss=nll_entropy"]]
    assert log == "log of run 0: multirun/study/0/train.log"
    assert "failed: ValueError: this rank broke" in first and first.endswith("multirun/study/0")
    assert "not started" in second and second.endswith("multirun/study/1")


def test_a_run_that_another_process_works_on_is_asked_for_at_the_end(sweep, monkeypatch, capsys):
    monkeypatch.setattr(sweep_table, "_left", [])
    left = sweep.folder.run(1)
    sweep_table.leave_to_another(left)
    with pytest.raises(SystemExit) as caught, sweep_table.printed_at_the_end():
        pass
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("another process works on multirun/study/1; the same command")
    with sweep_table.printed_at_the_end():  # by the end of this one the other has finished
        left.final.parent.mkdir(parents=True)
        left.final.touch()
    assert capsys.readouterr().err == ""


def test_the_command_that_evaluates_is_printed_where_something_was_trained(sweep):
    assert "evaluate with" not in table(sweep)
    final = sweep.folder.run(1).final
    final.parent.mkdir(parents=True)
    final.write_bytes(b"damaged")
    *_, row, _, command = table(sweep).splitlines()
    assert "cannot be read" in row
    assert command.startswith("evaluate with: ") and command.endswith(" task=evaluate runs=multirun/study")


def test_a_sweep_that_was_withdrawn_has_no_table(sweep, capsys):
    with sweep_table.printed_at_the_end():
        sweep_table.announce(sweep)
        sweep_table.withdraw()
    assert capsys.readouterr().out == ""


def test_folders_have_the_names_that_hydra_gave_them(sweep):
    """hydra.sweep.subdir=s${seed}."""
    named = Sweep(sweep.folder, [PlannedRun(["seed=5"], "s5"), PlannedRun(["seed=6"], "s6")])
    (sweep.folder.path / "s6").mkdir()
    first, second = table(named).splitlines()[2:]
    assert "not started" in first and first.endswith("multirun/study/s5")
    assert "unfinished" in second and second.endswith("multirun/study/s6")


def test_many_runs_are_summed_up_by_arm(sweep):
    """Of 42 runs one has failed, one has begun, and the others have not."""
    jobs = [PlannedRun([f"loss={loss}", f"seed={seed}"], f"{loss}{seed}") for loss in ("a", "b") for seed in range(21)]
    many = Sweep(SweepFolder(sweep.folder.path / "many"), jobs)
    for name in ("a3", "b7"):
        (many.folder.path / name).mkdir(parents=True)
    (many.folder.path / "b7/failure.txt").write_text("it broke")
    head, *arms, counted, log = table(many).splitlines()[1:]
    assert head.split() == ["arm", "not", "started", "unfinished", "failed"]
    assert [line.split() for line in arms] == [["loss=a", "20", "1"], ["loss=b", "20", "1"]]
    assert counted == "42 runs in multirun/study/many" and log == "log of run 28: multirun/study/many/b7/train.log"
