"""An evaluation of models whose sets have numbers of their own: own ones in domain, the averages elsewhere."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from entreg.config import PER_SET
from entreg.config.settings import resolved
from entreg.errors import DataError
from entreg.evaluation import output_files
from entreg.evaluation.evaluator import Evaluator
from entreg.evaluation.scores import predict
from entreg.model.deepgaze3 import DeepGaze3
from entreg.report import tables
from entreg.results.reading import typed
from entreg.results.writing import plain
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun, final_model, finished, saved
from tests import several_sets
from tests.evaluation.conftest import summarised
from tests.evaluation.photos import trained
from tests.report.browser import Page, assert_numbers_are_the_results

pytestmark = pytest.mark.usefixtures("one_thread")

FIRST, SECOND, THIRD = NAMES = (*several_sets.NAMES, "synthetic_wide")
IG = "ig_bits_per_fixation"


@pytest.fixture(scope="module")
def runs(composed, store, cache, tmp_path_factory) -> list[FinishedRun]:
    """Two trainings, each of which left out each set once, with drawn weights and numbers."""
    place = tmp_path_factory.mktemp("runs")
    sizes = [f"sets.{name}.images=22" for name in NAMES]
    words = several_sets.words(NAMES, *sizes, "model.per_set=[center_bias,scale,spread]", f"paths.store={store}")
    each = [(seed, name) for seed in (0, 1) for name in NAMES]
    configs = [resolved(composed(*words, "study=s", f"seed={seed}", f"leave_out={name}")) for seed, name in each]
    return [trained(place / str(i), config, cache, i) for i, config in enumerate(configs)]


@pytest.fixture(scope="module")
def evaluator(runs, evaluator_of) -> Evaluator:
    return evaluator_of(*runs)


@pytest.fixture(scope="module")
def results(runs, evaluator):
    return summarised(evaluator, *runs)


def expected_ig(evaluator: Evaluator, model: DeepGaze3, loaded, domain: str) -> list[float]:
    split = evaluator.runs.split(loaded, domain)
    found = []
    for i, prior in enumerate(split.gaussian_log_priors(loaded.run.config.prior)):
        y, x = split.fixations[i]
        at = predict(model, split, i).at(torch.zeros_like(y), y, x).double().numpy()
        found.append(float((at - prior).mean() / np.log(2)))
    return found


def test_in_domain_a_model_has_the_numbers_of_the_set_and_elsewhere_the_averages(evaluator, runs):
    (arm,) = evaluator.runs.arms
    loaded = evaluator.loaded[arm.name][0]
    assert loaded.run.config.leave_out == FIRST and isinstance(loaded.model, DeepGaze3)
    average = DeepGaze3(192, 1.0, 0)
    average.load_state_dict({key: loaded.model.state_dict()[key] for key in average.state_dict()})
    for domain, model in (
        (f"in_domain.{SECOND}", loaded.model.of_each_set()[SECOND]),
        (f"in_domain.{THIRD}", loaded.model.of_each_set()[THIRD]),
        (f"left_out.{FIRST}", average),
    ):
        rows = [r[IG] for r in evaluator.table() if r["run"] == str(loaded.run.folder) and r["domain"] == domain]
        assert rows == pytest.approx(expected_ig(evaluator, model, loaded, domain), abs=1e-5)
        if model is not average:
            assert rows != pytest.approx(expected_ig(evaluator, average, loaded, domain), abs=1e-3)
    # a foreign set that is called as one which was learned from
    assert loaded.model_in(f"ood.{SECOND}") is loaded.model is not loaded.model_in(f"in_domain.{SECOND}")


def test_the_results_hold_the_mean_of_the_runs_that_learned_from_a_set(results, runs):
    (arm,) = results.arms.values()
    assert [*arm.per_set] == sorted(NAMES)
    for name in NAMES:
        models = [final_model(run, 192) for run in runs if run.config.leave_out != name]
        scales, factors, weights = [], [], []
        for model in models:
            own, sets = model.per_set, model.per_set.sets
            deviations = [getattr(own, number).detach() for number in ("scale", "spread", "center_bias")]
            scale, spread, weight = (float(values[sets.index(name)] - values.mean()) for values in deviations)
            scales.append(np.exp(scale))
            factors.append(np.exp(spread))
            weights.append(model.finalizer.center_bias_weight.item() + weight)
        found = arm.per_set[name]
        assert found.scale == pytest.approx(np.mean(scales), rel=1e-5)
        assert found.center_bias_weight == pytest.approx(np.mean(weights), rel=1e-5)
        assert found.sigma_factor == pytest.approx(np.mean(factors), rel=1e-5)
    again = typed(json.loads(json.dumps(plain(results))))
    assert again.arms["nll"].per_set == arm.per_set
    rows = {row["metric"]: row["mean"] for row in tables.arms(results) if row["domain"] is None}
    assert rows[f"scale.{SECOND}"] == arm.per_set[SECOND].scale


def test_the_page_shows_learned_numbers_beside_those_that_were_fitted(results, evaluator, tmp_path):
    folder = RunFolder(tmp_path)
    output_files.write(folder, results, evaluator, {})
    text = folder.report.read_text()
    assert_numbers_are_the_results(Page(text), json.loads(json.dumps(plain(results))))
    for name in NAMES:
        for key in ("scale", "sigma_factor", "center_bias_weight"):
            assert f'data-key="arms.nll.per_set.{name}.{key}"' in text
            assert f'data-key="arms.nll.left_out.{name}.ladder.{key}"' in text
    arms = {name: dataclasses.replace(arm, per_set=None) for name, arm in results.arms.items()}
    output_files.write(folder, dataclasses.replace(results, arms=arms), evaluator, {})
    assert "per_set." not in folder.report.read_text()


def test_a_checkpoint_without_the_names_of_its_sets_is_refused(runs):
    run = runs[0]
    state = {key: value for key, value in run.state.items() if key != "sets"}
    with pytest.raises(DataError, match="its parameters do not fit the model of its config"):
        final_model(FinishedRun(run.folder, run.config, state), 192)


def test_a_run_is_read_for_prediction_with_the_names_of_its_sets(runs):
    config = finished(runs[0].folder, saved(runs[0].folder, loads_data=False)).config
    assert [*config.sets] == sorted(NAMES) and config.model.per_set == [*PER_SET]
    assert config.leave_out == FIRST and config.data is config.sets[config.data.name]
    assert final_model(runs[0], 192).per_set.sets == (SECOND, THIRD)
