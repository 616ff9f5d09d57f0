"""An evaluation of models that each left one set out: by it they are judged as by a foreign one."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.config.settings import resolved
from entreg.evaluation import evidence_file
from entreg.evaluation.evaluator import Evaluator
from entreg.evaluation.illustrations import examples
from entreg.evaluation.statistics import on_a_new_set
from entreg.report import tables
from entreg.results.reading import typed
from entreg.results.writing import plain
from tests import several_sets
from tests.evaluation.conftest import summarised
from tests.evaluation.photos import trained

FIRST, SECOND, THIRD = NAMES = (*several_sets.NAMES, "synthetic_wide")
IG = "ig_bits_per_fixation"


@pytest.fixture(scope="module")
def runs(composed, store, cache, tmp_path_factory):
    """Two trainings of both arms, each of which left out each set once, with drawn weights; by loss, seed and set."""
    place = tmp_path_factory.mktemp("runs")
    primary = "evaluation.primary.domain=left_out"
    words = several_sets.words(NAMES, "study=s", f"sets.{FIRST}.images=15", primary, f"paths.store={store}")
    each = [(loss, seed, name) for loss in ("nll", "nll_entropy") for seed in (0, 1) for name in NAMES]
    configs = [
        resolved(composed(*words, f"loss={loss}", f"seed={seed}", f"leave_out={name}")) for loss, seed, name in each
    ]
    return {of: trained(place / str(i), configs[i], cache, i) for i, of in enumerate(each)}


@pytest.fixture(scope="module")
def evaluator(runs, evaluator_of) -> Evaluator:
    return evaluator_of(*runs.values())


@pytest.fixture(scope="module")
def results(runs, evaluator):
    return summarised(evaluator, *runs.values())


def of_run(evaluator: Evaluator, run, domain: str) -> list[float]:
    """The IG of a run's images, as the table has it."""
    return [row[IG] for row in evaluator.table() if row["run"] == str(run.folder) and row["domain"] == domain]


def test_each_set_judges_the_runs_that_left_it_out_with_all_of_its_images(evaluator, runs):
    assert {name: len(domain.subset) for name, domain in evaluator.runs.domains.items()} == {
        f"in_domain.{FIRST}": 3,
        f"in_domain.{SECOND}": 2,
        f"in_domain.{THIRD}": 2,
        f"left_out.{FIRST}": 15,
        f"left_out.{SECOND}": 10,
        f"left_out.{THIRD}": 10,
    }
    for (_, _, name), run in runs.items():
        for other in NAMES:
            assert (len(of_run(evaluator, run, f"left_out.{other}")) > 0) == (other == name)
            assert (len(of_run(evaluator, run, f"in_domain.{other}")) > 0) == (other != name)


def test_a_trainings_table_is_that_of_the_run_which_left_the_set_out(evaluator, runs):
    rows = evaluator.evidence()["nll"].rows
    for seed in (0, 1):
        found = [row[IG] for row in rows[f"left_out.{SECOND}"][seed]]
        assert found == of_run(evaluator, runs["nll", seed, SECOND], f"left_out.{SECOND}")
        judged = [of_run(evaluator, runs["nll", seed, name], f"in_domain.{SECOND}") for name in (FIRST, THIRD)]
        assert [row[IG] for row in rows[f"in_domain.{SECOND}"][seed]] == pytest.approx(np.mean(judged, 0))


def test_the_mean_over_sets_that_were_left_out_weighs_them_equally_and_is_tested(evaluator, results, runs):
    arm = results.arms["nll"]
    means = [
        np.mean([of_run(evaluator, runs["nll", seed, name], f"left_out.{name}") for seed in (0, 1)]) for name in NAMES
    ]
    assert arm.domains["left_out"].metrics[IG].mean == pytest.approx(np.mean(means))
    assert arm.sets_left_out == sorted(NAMES) and arm.seeds == [0, 1] and len(arm.bias_entropy_nats_by_seed) == 2
    assert [row["left_out"] for row in arm.stability] == sorted(NAMES) * 2
    assert results.primary.tested == {"left_out"} and tables.main_first(results)[0] == "left_out"
    compared = results.comparisons["nll_entropy"].domains
    assert [compared[name].differences["ig_difference_bits"].exploratory for name in ("left_out", "in_domain")] == [
        False,
        True,
    ]
    assert tables.domains(results)["left_out"] == "left out, mean of 3 sets"


def test_what_is_shown_and_saved_is_of_the_runs_that_are_judged(evaluator, runs):
    saved = evidence_file.arrays_of(evaluator)
    folders = list(saved["runs"])
    for (_, _, name), run in runs.items():
        number = folders.index(str(run.folder))
        assert f"at/left_out.{name}/{number}" in saved and f"at/in_domain.{name}/{number}" not in saved
    shown = examples(evaluator)
    best = dict(shown[f"left_out.{SECOND}"])["best"]["nll"]
    values = [of_run(evaluator, runs["nll", seed, SECOND], f"left_out.{SECOND}") for seed in (0, 1)]
    names = evaluator.runs.domains[f"left_out.{SECOND}"].subset.names
    assert best.name == names[int(np.argmax(np.mean(values, 0)))]


def test_what_holds_on_a_new_set_is_said_with_how_wide_it_is_and_why(evaluator, results, runs):
    """The means of three sets for each of two seeds."""
    compared = results.comparisons["nll_entropy"].domains["left_out"]
    means = {
        loss: [
            [np.mean(of_run(evaluator, runs[loss, seed, name], f"left_out.{name}")) for name in NAMES]
            for seed in (0, 1)
        ]
        for loss in ("nll", "nll_entropy")
    }
    expected = on_a_new_set(np.subtract(means["nll_entropy"], means["nll"]))
    cell = compared.new_set
    assert cell is not None and cell.n_images == 3 and cell.exploratory
    assert cell.mean == pytest.approx(compared.differences["ig_difference_bits"].mean)
    assert cell.ci95 == pytest.approx([float(end) for end in expected.ci95])
    assert compared.rest_on_a_new_set is None  # as ten images have no ladder
    said = tables.on_a_new_set(compared)
    assert said[0].startswith(f"on a set not yet seen: IG {cell.mean:+.4f} (95 % interval ") and "3 sets): " in said[0]
    assert "Student's factor for it is 4.3 instead of 2.0" in said[1]
    assert results.comparisons["nll_entropy"].domains["in_domain"].new_set is None


def test_what_the_models_that_left_a_set_out_reach_stands_by_that_set(evaluator, results, runs):
    found = results.arms["nll"].ig_bits_by_set_left_out
    assert found is not None and [*found] == sorted(NAMES)
    for domain in (f"left_out.{SECOND}", f"in_domain.{FIRST}"):
        each = [of_run(evaluator, runs["nll", seed, SECOND], domain) for seed in (0, 1)]
        assert found[SECOND][domain] == pytest.approx(np.mean(each))
    assert found[SECOND].keys() == {f"left_out.{SECOND}", f"in_domain.{FIRST}", f"in_domain.{THIRD}"}


def test_results_are_read_as_they_were_written(results):
    assert plain(typed(plain(results))) == plain(results)
