"""Jobs of a sweep that are trained together; whole groups are trained in tests/training."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from entreg.cli.execution import JobFailed
from entreg.cli.jobs_together import run_jobs_together
from entreg.io.leases import Lease
from entreg.runs.folder import SweepFolder
from tests.cli.conftest import WORDS


@pytest.fixture
def cfgs(launcher_of, tmp_path, monkeypatch):
    """The configs of two jobs, as a launcher composes them."""
    launcher = launcher_of("together", *WORDS)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    found = []
    for number in range(2):
        cfg = launcher._context.config_loader.load_sweep_config(launcher._config, [*WORDS, f"seed={number}"])
        cfg.hydra.runtime.output_dir = str(tmp_path / str(number))
        cfg.hydra.sweep.dir, cfg.hydra.mode = str(tmp_path), RunMode.MULTIRUN
        found.append(cfg)
    return found


def test_each_job_gets_its_result_and_records_what_was_typed(cfgs, tmp_path):
    results = run_jobs_together(cfgs, lambda runs, refused: [folder.path.name for _, folder in runs])
    assert results == ["0", "1"]
    assert SweepFolder(tmp_path).run(1).read_typed()[-1] == "seed=1"


def test_a_failure_is_that_of_all_and_is_recorded_in_each_folder(cfgs, tmp_path):
    def train(runs, refused):
        raise ValueError("it broke")

    results = run_jobs_together(cfgs, train)
    assert all(isinstance(result, JobFailed) and "ValueError: it broke" in str(result) for result in results)
    assert all("ValueError: it broke" in SweepFolder(tmp_path).run(number).why_failed() for number in range(2))


def test_a_run_that_another_process_works_on_is_left_out(cfgs, tmp_path):
    sweep = SweepFolder(tmp_path)
    sweep.run(0).path.mkdir()
    with Lease(sweep.run(0).owner):
        refusals = []
        results = run_jobs_together(cfgs, lambda runs, refused: refusals.append(refused) or [None, 0.5])
    assert refusals == [[True, False]]
    assert results == [None, 0.5]  # whoever works on it says at the end what came of it


def test_ctrl_c_says_how_the_sweep_goes_on(cfgs, tmp_path, capsys):
    def train(runs, refused):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_jobs_together(cfgs, train)
    assert caught.value.code == 130
    said = f"interrupted: the same command with hydra.sweep.dir={Path(tmp_path)} goes on with {tmp_path}"
    assert capsys.readouterr().err.strip() == said
