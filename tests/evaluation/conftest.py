"""What the tests of an evaluation's parts share: finished runs with drawn weights, and an evaluator of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.arms import arms_of
from entreg.evaluation.evaluated_runs import EvaluatedRuns
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.evaluator import Evaluator
from entreg.evaluation.plan import plan_of
from entreg.evaluation.summary import summarise
from entreg.results.schema import Results
from entreg.results.writing import plain
from entreg.study.finished_run import FinishedRun
from tests.evaluation.photos import FOREIGN, name_of, trained, words, write_sets
from tests.report.findings import findings

SIZE = (72, 96)


def evaluated_runs(cache: EvaluationCache, *runs: FinishedRun) -> EvaluatedRuns:
    return EvaluatedRuns(arms_of(list(runs))[0], cache, 0)


def summarised(evaluator: Evaluator, *runs: FinishedRun) -> Results:
    """The results of runs that were evaluated, with the settings of the first."""
    arms, keys = arms_of(list(runs))
    data = evaluator.runs.data()
    return summarise(arms, keys, evaluator.evidence(), data, [], plan_of(arms, []), runs[0].config.evaluation)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> tuple[Path, list[int], list[int]]:
    """The folder of the sets, and the seeds of own's training and of its validation images."""
    folder = tmp_path_factory.mktemp("place")
    return folder, *write_sets(folder)


@pytest.fixture(scope="module")
def cache() -> EvaluationCache:
    return EvaluationCache(Ranks())


@pytest.fixture
def run_of(composed, store, place, cache, tmp_path):
    """run_of(weights, *words): a finished run whose weights are drawn from a seed."""

    def build(weights: int, *more: str) -> FinishedRun:
        config = resolved(composed(*words(place[0], store), "study=s", *more))
        return trained(tmp_path / str(weights), config, cache, weights)

    return build


@pytest.fixture(scope="module")
def evaluator_of(cache):
    """evaluator_of(runs): an evaluator that has evaluated them; the same runs are evaluated once."""
    known: dict[tuple[str, ...], Evaluator] = {}

    def evaluated(*runs: FinishedRun) -> Evaluator:
        key = tuple(run.folder.path.name for run in runs)  # which says the weights
        if key not in known:
            known[key] = Evaluator(evaluated_runs(cache, *runs))
            known[key].evaluate()
        return known[key]

    return evaluated


@pytest.fixture
def evaluator(run_of, evaluator_of) -> Evaluator:
    """Of two trainings of the baseline and one of the regularised arm."""
    return evaluator_of(run_of(1, "loss=nll"), run_of(2, "loss=nll", "seed=1"), run_of(3, "loss=nll_entropy"))


@pytest.fixture
def left(place) -> dict[str, list[str]]:
    """By domain the names of the images that are evaluated."""
    return {
        "in_domain": [name_of(seed) for i, seed in enumerate(place[2]) if i != 1],
        "ood.foreign": [name_of(seed) for seed in FOREIGN if seed not in (103, 110)],
    }


@pytest.fixture
def results_of(tmp_path):
    """results_of(**settings): the results.json of a made-up study, written and read back."""

    def load(**settings):
        return json.loads(json.dumps(plain(findings(tmp_path / "sweep", **settings).results), allow_nan=False))

    return load


def values(content, arm: str, domain: str, key: str) -> np.ndarray:
    """(n_seeds, n_images) as the table of all images has them."""
    rows = [row for row in content.per_image if (row["arm"], row["domain"]) == (arm, domain)]
    seeds = sorted({row["seed"] for row in rows})
    return np.array([[row[key] for row in rows if row["seed"] == seed] for seed in seeds])
