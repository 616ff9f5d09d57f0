"""The sweeper over a function instead of trainings, whose best value is known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf

from entreg.cli import optuna_sweeper
from entreg.cli.optuna_sweeper import Optuna
from entreg.errors import DataError
from entreg.runs.folder import SweepFolder

WORDS = ["loss=nll_entropy", "x=interval(-1,3.5)", "kind=a,b", "n=tag(log,int(interval(1,100)))"]


def value_of(words: dict[str, str]) -> float:
    """At most 0, where x is 1 and the kind is b."""
    return -((float(words["x"]) - 1) ** 2) - (words["kind"] == "a")


class Jobs:
    """A launcher that computes instead of starting jobs. stops, fails: the numbers of jobs that do so."""

    def __init__(self, stops: int | None = None, fails: tuple[int, ...] = ()) -> None:
        self.started: dict[int, list[str]] = {}
        self._stops, self._fails = stops, fails

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
        returns = []
        for number, words in enumerate(jobs, initial_job_idx):
            self.started[number] = words
            result = JobReturn(overrides=words, status=JobStatus.COMPLETED)
            result.return_value = None if number == self._stops else value_of(dict(w.split("=") for w in words))
            if number in self._fails:
                result.status, result.return_value = JobStatus.FAILED, ValueError(f"job {number} broke")
            returns.append(result)
        return returns


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """sweep(NAME, jobs, *words, n_trials, n_jobs, seed): the folder of the sweep of that name afterwards."""
    pytest.importorskip("optuna", reason="pip install optuna")

    def run(name: str, jobs: Jobs, *words: str, n_trials: int = 14, n_jobs: int = 1, seed: int = 0) -> SweepFolder:
        plugins = SimpleNamespace(instance=lambda: SimpleNamespace(instantiate_launcher=lambda **_: jobs))
        monkeypatch.setattr(optuna_sweeper, "Plugins", plugins)
        sweeper = Optuna("maximize", n_trials, n_jobs, {"seed": seed}, {})
        config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / name)}}})
        sweeper.setup(hydra_context=None, task_function=None, config=config)
        sweeper.sweep([*(words or WORDS)])
        return SweepFolder(tmp_path / name)

    return run


def test_the_best_of_what_was_tried_is_written(sweep):
    jobs = Jobs()
    folder = sweep("one", jobs)
    tried = [dict(word.split("=") for word in jobs.started[number]) for number in range(14)]
    assert all(-1 <= float(one["x"]) <= 3.5 and one["kind"] in "ab" and 1 <= int(one["n"]) <= 100 for one in tried)
    assert {one["loss"] for one in tried} == {"nll_entropy"} and {one["kind"] for one in tried} == {"a", "b"}
    assert len({one["x"] for one in tried}) == 14
    best = max(tried, key=value_of)
    optimum = yaml.safe_load(folder.optimum.read_text())
    assert optimum["best_value"] == value_of(best) and optimum["best_params"]["x"] == float(best["x"])
    assert folder.read_trials()[3] == {"x": float(tried[3]["x"]), "kind": tried[3]["kind"], "n": int(tried[3]["n"])}


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_sweep_that_was_stopped_goes_on_to_what_it_would_have_tried(sweep, n_jobs):
    """In its twelfth trial, when Optuna no longer draws at random; then it is made longer."""
    whole, stopped, again, longer = Jobs(), Jobs(stops=11), Jobs(), Jobs()
    sweep("whole", whole, n_trials=16, n_jobs=n_jobs)
    folder = sweep("parts", stopped, n_jobs=n_jobs)
    assert max(stopped.started) == 11 and not folder.optimum.exists()
    sweep("parts", again, n_jobs=n_jobs)
    assert again.started == {number: whole.started[number] for number in range(14)}
    sweep("parts", longer, n_trials=16, n_jobs=1)
    assert [*longer.started.values()][:14] == [*again.started.values()] and len(longer.started) == 16
    if n_jobs == 1:
        assert longer.started == whole.started


def test_another_seed_tries_other_values(sweep):
    one, other = Jobs(), Jobs()
    sweep("one", one, n_trials=2)
    sweep("other", other, n_trials=2, seed=1)
    assert not {*map(tuple, one.started.values())} & {*map(tuple, other.started.values())}


def test_a_trial_that_fails_does_not_stop_the_others_and_is_said_at_the_end(sweep, tmp_path):
    jobs = Jobs(fails=(1,))
    with pytest.raises(ValueError, match="job 1 broke"):
        sweep("some", jobs, n_trials=4)
    assert len(jobs.started) == 4
    assert yaml.safe_load(SweepFolder(tmp_path / "some").optimum.read_text())["best_value"] == max(
        value_of(dict(word.split("=") for word in jobs.started[number])) for number in (0, 2, 3)
    )
    with pytest.raises(ValueError, match="job 0 broke"):
        sweep("all", Jobs(fails=(0, 1)), n_trials=2)


def test_another_search_space_is_refused(sweep):
    sweep("one", Jobs(), n_trials=3)
    with pytest.raises(CompactHydraException, match=r"this sweep tried .* type what was typed then, or another study="):
        sweep("one", Jobs(), "x=interval(7,8)", "kind=a,b", "n=int(interval(1,100))", n_trials=4)


def test_a_record_that_is_none_is_refused(tmp_path):
    SweepFolder(tmp_path).trials.write_text("[[1]]")
    with pytest.raises(DataError, match=r"trials.json: it lists no trials"):
        SweepFolder(tmp_path).read_trials()


def test_without_optuna_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(optuna_sweeper.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CompactHydraException, match="hydra/sweeper=optuna needs Optuna, .*: pip install optuna"):
        Optuna("maximize", 1, 1, {"seed": 0}, None).setup(hydra_context=None, task_function=None, config=None)
