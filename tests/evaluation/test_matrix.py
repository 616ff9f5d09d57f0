"""Runs that learned from different sets in one evaluation: what judges them, and the matrix that comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.config import Data
from entreg.config.settings import resolved
from entreg.data.splits import split
from entreg.distributed.ranks import Ranks
from entreg.evaluation import evaluation_cache, evidence_file
from entreg.evaluation.domain import Domain
from entreg.evaluation.evaluated_runs import EvaluatedRuns
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.evaluator import Evaluator
from entreg.evaluation.matrix import matrix_of
from entreg.evaluation.selection import select_arms, select_plan
from entreg.evaluation.summary import summarise
from entreg.evaluation.training_rows import baselines_of_rows
from entreg.results.reading import typed
from entreg.results.schema import SINGLE_SETS, MatrixCell, Plan, Results
from entreg.results.writing import plain
from entreg.study.finished_run import FinishedRun
from tests import several_sets
from tests.evaluation.photos import name_of, trained, write_set

A, B, C = NAMES = (*several_sets.NAMES, "synthetic_wide")
ROWS = ((A,), (B,), (C,), (A, B), (A, C), (B, C), NAMES)
IG = "ig_bits_per_fixation"
SMALL = ("images=20", "long_side_px=48", "short_side_px=32")


@pytest.fixture(scope="module")
def run_of(composed, store, cache, tmp_path_factory):
    """run_of(names, seed, *words): a finished run on these sets with drawn weights; as_data: with data=NAME."""
    place = tmp_path_factory.mktemp("runs")
    known: dict[str, FinishedRun] = {}

    def build(names, seed=0, *more, as_data=False) -> FinishedRun:
        small = [f"sets.{name}.{word}" for name in names for word in SMALL]
        words = [*several_sets.words(names, *small), "study=s", f"paths.store={store}", f"seed={seed}", *more]
        if as_data:
            others = [word.replace(f"sets.{names[0]}.", "data.") for word in words if not word.startswith("sets=")]
            words = [f"data={names[0]}", "ood=[]", *others]
        key = repr(words)
        if key not in known:
            known[key] = trained(place / str(len(known)), resolved(composed(*words)), cache, len(known))
        return known[key]

    return build


@pytest.fixture(scope="module")
def runs(run_of):
    """Two trainings of each row, by row and seed."""
    return {(row, seed): run_of(row, seed) for row in ROWS for seed in (0, 1)}


def evaluated(cache, runs) -> Evaluator:
    evaluator = Evaluator(EvaluatedRuns(select_arms(list(runs), [])[0], cache, 0))
    evaluator.evaluate()
    return evaluator


def results_of(evaluator: Evaluator) -> Results:
    runs = evaluator.runs
    plan = select_plan(runs.every_arm, [])
    settings = runs.arms[0].runs[0].config.evaluation
    matrix = matrix_of(evaluator.judged(), plan, baselines_of_rows(runs.every_arm))
    return summarise(runs.arms, [], evaluator.evidence(), runs.data(), [], plan, settings, matrix)


def cells_of_arms(results: Results) -> dict[tuple[str, tuple[str, ...], str], MatrixCell]:
    return {
        (name, tuple(cell.trained_on), cell.judged_on): cell
        for name, arm in results.matrix.arms.items()
        for cell in arm.cells
    }


@pytest.fixture(scope="module")
def evaluator(runs, cache) -> Evaluator:
    return evaluated(cache, runs.values())


@pytest.fixture(scope="module")
def results(evaluator) -> Results:
    return results_of(evaluator)


def cells(results: Results) -> dict[tuple[tuple[str, ...], str], object]:
    assert results.matrix is not None
    return {(tuple(cell.trained_on), cell.judged_on): cell for cell in results.matrix.arms["nll"].cells}


def test_a_set_judges_by_all_images_who_did_not_learn_from_it_else_by_its_validation_images(evaluator, results, runs):
    found = cells(results)
    assert len(found) == len(ROWS) * 3
    for (row, name), cell in found.items():
        domain = f"{'in_domain' if name in row else 'left_out'}.{name}"
        each = [
            table_row[IG]
            for table_row in evaluator.table()
            if table_row["domain"] == domain and table_row["run"] in [str(runs[row, seed].folder) for seed in (0, 1)]
        ]
        assert len(each) == 2 * (4 if name in row else 20)
        assert cell.as_trained.mean == pytest.approx(np.mean(each))
        assert (cell.adapted is None) == cell.in_domain == (name in row)
        assert cell.training_images == [16 * len(row)]


def test_arms_are_those_that_learned_from_all_sets_but_one(results, evaluator, runs):
    assert [*results.arms] == ["nll"] and results.arms["nll"].sets_left_out == sorted(NAMES)
    assert sorted(results.data) == sorted(f"{kind}.{name}" for kind in ("in_domain", "left_out") for name in NAMES)
    found = cells(results)
    for name in NAMES:
        others = tuple(other for other in NAMES if other != name)
        of_arm = results.arms["nll"].domains[f"left_out.{name}"].metrics[IG]
        assert of_arm == found[others, name].as_trained


def test_after_the_ladder_stands_what_the_models_adapted_by_all_numbers_score(evaluator, results, runs):
    (arm,) = (arm for arm in evaluator.runs.beside if arm.name == f"nll, trained on {A}")
    adapted = [
        of_run.ig_bits["centre_bias", "scale", "spread"] for of_run in evaluator.adapted[arm.name][f"left_out.{B}"]
    ]
    cell = cells(results)[(A,), B]
    assert cell.adapted.mean == pytest.approx(np.mean(adapted)) and cell.adapted.mean > cell.as_trained.mean


def test_the_centre_bias_alone_is_the_kde_of_the_sets_other_images_over_the_gaussian(evaluator, results):
    domain = evaluator.runs.every_domain[f"in_domain.{A}"]
    pairs = zip(domain.log_kde, domain.log_gaussian, strict=True)
    expected = np.mean([(kde - gaussian).mean() / np.log(2) for kde, gaussian in pairs])
    bar = results.matrix.arms["nll"].bars[A].bars["centre_bias"]
    assert bar.as_trained.mean == pytest.approx(expected) and bar.as_trained.n_images == 4


def test_a_row_that_is_added_later_changes_no_cell_of_the_others(evaluator, results, runs, cache):
    """Nor does the order of the runs."""
    some = [run for (row, _), run in reversed(runs.items()) if row in ((A,), (B,), (B, C))]
    before = cells(results_of(evaluated(cache, some)))
    assert before == {key: cell for key, cell in cells(results).items() if key[0] in ((A,), (B,), (B, C))}


def test_leaving_a_set_out_is_the_same_row(run_of, runs, cache, results):
    """sets=[a,b,c] leave_out=c learned from what sets=[a,b] learned from, where no image is in two sets."""
    left_out = [run_of(NAMES, 0, f"leave_out={name}") for name in NAMES]
    found = cells(results_of(evaluated(cache, [*left_out, runs[(A,), 0]])))
    assert found.keys() == {key for key in cells(results) if len(key[0]) == 2 or key[0] == (A,)}


def test_what_is_known_of_an_image_is_computed_once_for_all_runs(runs, monkeypatch):
    """However many runs are judged: 20 images that were left out and 4 that are validated on, of each set."""
    truths, folds = [], []
    truth, adaptation_data_of = Domain.truth, evaluation_cache.adaptation_data_of
    monkeypatch.setattr(Domain, "truth", lambda self, i: truths.append((id(self), i)) or truth(self, i))
    counted = lambda domain, *more: folds.append(id(domain)) or adaptation_data_of(domain, *more)  # noqa: E731
    monkeypatch.setattr(evaluation_cache, "adaptation_data_of", counted)
    some = [run for (row, _), run in runs.items() if row in ((A,), (B,), (A, C), NAMES)]
    evaluated(EvaluationCache(Ranks()), some)
    assert len(truths) == len(set(truths)) == 3 * (20 + 4)
    assert len(folds) == len(set(folds)) == 3


@pytest.mark.parametrize("key", [f"sets.{A}", "data"])
def test_a_cross_validation_is_the_ceiling_on_all_images(run_of, runs, cache, results, key):
    folds = [run_of((A,), 0, f"{key}.fold={fold}", as_data=key == "data") for fold in range(5)]
    rest = [runs[row, 0] for row in ((B,), (B, C))]
    found = results_of(evaluated(cache, [*folds, *rest]))
    cell = cells(found)[(A,), A]
    assert cell.in_folds and cell.as_trained.n_images == 20 and cells(found)[(A,), B].as_trained.n_images == 20
    assert found.matrix.arms["nll"].bars[A].n_images == 20 and results.matrix.arms["nll"].bars[A].n_images == 4
    assert "fold" in found.matrix.arms["nll"].bars[A].bars["ceiling"].of
    assert f"folds.{A}" not in found.data


def test_a_twin_is_judged_for_nobody_where_one_of_them_trained_on_it(composed, store, tmp_path):
    """A training image of `second` is saved anew, at half the size, from a training image of `first`."""
    first, second = range(8), range(20, 28)
    training, _ = split(8, Data(name="first", folds=4))
    copy, learned = second[training[2]], name_of(training[2])
    write_set(tmp_path / "first", first)
    write_set(tmp_path / "second", second, {copy: tmp_path / "first/stimuli" / learned})
    cache = EvaluationCache(Ranks())

    def run_on(*names: str) -> FinishedRun:
        each = [f"sets.{name}.{word}" for name in names for word in ("folds=4", "long_side_px=96", "short_side_px=72")]
        places = [word for n in names for word in (f"+data@sets.{n}=folder", f"sets.{n}.root={tmp_path / n}")]
        taps = ["model.backbone.taps=[conv1_2,relu2_2]", "uniform.images=2", "hardware=cpu", "hardware.threads=1"]
        words = [*places, *each, *taps, "data=first_of_sets", "ood=[]", f"paths.store={store}", "study=s"]
        return trained(tmp_path / "_".join(names), resolved(composed(*words)), cache, len(names))

    evaluator = evaluated(cache, [run_on("first"), run_on("second"), run_on("first", "second")])
    names = {name: domain.subset.names for name, domain in evaluator.runs.every_domain.items()}
    assert names["left_out.second"] == [name_of(seed) for seed in second if seed != copy]
    assert evaluator.runs.seen["left_out.second"] == {name_of(copy): learned}
    assert names["left_out.first"] == [name_of(seed) for seed in first if name_of(seed) != learned]
    assert all(domain.startswith(("in_domain", "left_out")) for domain in names)


def test_what_was_computed_is_saved_for_every_run(evaluator, runs):
    saved = evidence_file.arrays_of(evaluator)
    folders = [*saved["runs"]]
    assert sorted(folders) == sorted(str(run.folder) for run in runs.values())
    for (row, _), run in runs.items():
        number = folders.index(str(run.folder))
        assert [f"at/left_out.{name}/{number}" in saved for name in NAMES] == [name not in row for name in NAMES]
        assert (f"bias/{number}/with/grid" in saved) == (len(row) == 2)


def test_a_plan_of_pooled_sets_against_one_needs_equally_many_images(evaluator):
    """These learned from 16 images of one set, or from 16 of each of two."""
    plan, runs = Plan("nll", "left_out", IG, [], [], None, SINGLE_SETS), evaluator.runs
    matrix, settings = matrix_of(evaluator.judged(), plan, {}), runs.arms[0].runs[0].config.evaluation
    primary = summarise(runs.arms, [], evaluator.evidence(), runs.data(), [], plan, settings, matrix).primary
    assert primary.arm is None and primary.why.startswith(
        "the pooled models learned from 32 images and the single ones"
    )


def test_arms_are_compared_in_each_row_and_those_in_the_main_one_as_ever(run_of, cache):
    """The row by which the arms are compared has its rest of the ladder, and its difference as trained, twice."""
    words = ("loss=nll_entropy",)
    some = [run_of(row, seed, *more) for row in ((A,), (B,), (A, C)) for seed in (0, 1) for more in ((), words)]
    found = results_of(evaluated(cache, some))
    rows = {tuple(one.trained_on): one for one in found.matrix.arms["nll_entropy"].against_baseline}
    assert [*rows] == [(A,), (B,), (A, C)] and found.matrix.arms["nll"].against_baseline is None
    domains, cells = found.comparisons["nll_entropy"].domains, cells_of_arms(found)
    for row, one in rows.items():
        assert one.baseline == "nll" and [*one.adapted] == [
            "mean",
            *(name for name in sorted(NAMES) if name not in row),
        ]
        for name in one.adapted.keys() - {"mean"}:
            for when in ("as_trained", "adapted"):
                levels = [getattr(cells[arm, row, name], when).mean for arm in ("nll_entropy", "nll")]
                assert getattr(one, when)[name].mean == pytest.approx(levels[0] - levels[1])
    main, left = rows[A, C], domains[f"left_out.{B}"]
    for ours, other in ((main.as_trained, left.differences["ig_difference_bits"]), (main.adapted, left.ladder["rest"])):
        assert ours[B].mean == pytest.approx(other.mean) and ours[B].ci95 == pytest.approx(other.ci95)
        assert ours["mean"].p == pytest.approx(other.p) and ours["mean"].p_holm >= other.p_holm
    assert plain(typed(plain(found))) == plain(found)


def test_results_are_read_as_they_were_written(results):
    assert plain(typed(plain(results))) == plain(results)


def test_runs_that_learned_from_the_same_sets_or_all_but_one_have_no_matrix(runs, cache):
    for size in (1, 2):
        some = [run for (row, _), run in runs.items() if len(row) == size and (size == 2 or row == (A,))]
        assert results_of(evaluated(cache, some)).matrix is None
    assert matrix_of({}, Plan(None, "ood", IG, [], [], None), {}) is None
