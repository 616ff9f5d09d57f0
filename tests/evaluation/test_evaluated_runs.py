"""Which images runs are evaluated on, and which runs are refused."""

from __future__ import annotations

import dataclasses

import pytest

from entreg.errors import UserError
from entreg.evaluation.arms import arms_of
from entreg.evaluation.evaluator import Evaluator
from entreg.evaluation.summary import summarise
from entreg.report.tables import terminal
from entreg.results import writing
from entreg.results.schema import ImageCounts, Plan, RowCounts
from tests.evaluation.conftest import evaluated_runs
from tests.evaluation.photos import FIXATIONS, FOREIGN, OWN, name_of, write_set

pytestmark = pytest.mark.usefixtures("one_thread")


def test_images_that_were_trained_on_are_left_out_for_all_arms_and_counted(evaluator, place, left):
    _, training, validation = place
    seen = {
        "in_domain": {name_of(validation[1]): name_of(training[4])},
        "ood.foreign": {name_of(103): name_of(training[0]), name_of(110): name_of(training[7])},
    }
    assert evaluator.runs.seen == seen
    for evidence in evaluator.evidence().values():
        for domain, tables in evidence.rows.items():
            assert all([row["image"] for row in rows] == left[domain] for rows in tables)
    for domain, data in evaluator.runs.data().items():
        assert data.seen == seen[domain] and data.n_images == len(left[domain])
        assert data.n_fixations == FIXATIONS * len(left[domain])
    assert evaluator.runs.data()["ood.foreign"].without_ladder is None


def test_what_became_of_all_fixations_of_a_set_is_counted(evaluator):
    """Of all twelve and twenty-two images, whichever are evaluated."""
    for domain, images in (("in_domain", 12), ("ood.foreign", 22)):
        n = FIXATIONS * images
        assert evaluator.runs.data()[domain].rows == RowCounts(n, n, {"outside the image": 0}, [])


def test_what_was_left_out_is_said(run_of, cache, place, caplog):
    evaluated_runs(cache, run_of(1, "loss=nll"))
    _, training, _ = place
    pairs = f"103.jpg (as {name_of(training[0])}), 110.jpg (as {name_of(training[7])})"
    assert f"ood.foreign: left out, since the models were trained on these images or nearly: {pairs}" in caplog.text


def test_a_small_set_has_no_ladder_and_that_is_said(run_of, evaluator_of):
    found = evaluator_of(run_of(4, "loss=nll", "seed=4", "ood.foreign.limit=21"))
    assert all(not evidence.adapted for evidence in found.evidence().values())
    why = {domain: data.without_ladder for domain, data in found.runs.data().items()}
    assert why == {"in_domain": None, "ood.foreign": "19 images are too few to adapt a model to the set (at least 20)"}


def test_a_set_of_which_one_image_alone_has_fixations_is_evaluated_without_shuffled_auc(run_of, cache, tmp_path):
    write_set(tmp_path / "one", [200, 201])
    table = tmp_path / "one/fixations.csv"
    table.write_text("".join(row for row in table.read_text().splitlines(keepends=True) if row[:3] != "201"))
    runs = [
        run_of(5 + i, loss, f"ood.foreign.root={tmp_path}/one")
        for i, loss in enumerate(("loss=nll", "loss=nll_entropy"))
    ]
    evaluator = Evaluator(evaluated_runs(cache, *runs))
    evaluator.evaluate()
    arms, keys = arms_of(runs)
    plan = Plan("nll_entropy", "ood", "ig_bits_per_fixation", ["foreign"], [], None)
    data = evaluator.runs.data()
    results = summarise(arms, keys, evaluator.evidence(), data, [], plan, runs[0].config.evaluation)
    assert (data["ood.foreign"].n_images, data["ood.foreign"].kde_prior_images) == (1, 1)
    domains = results.arms["nll"].domains
    assert domains["in_domain"].metrics.keys() - domains["ood.foreign"].metrics.keys() == {"sauc"}
    assert "sauc_difference" not in results.comparisons["nll_entropy"].domains["ood"].differences
    writing.write(tmp_path / "results.json", results)  # which refuses NaN
    assert "nll_entropy compared with nll" in terminal(results)


def test_fingerprints_are_of_all_that_was_read(run_of, cache):
    runs = [run_of(1, "loss=nll"), run_of(2, "loss=nll_entropy")]
    prints = evaluated_runs(cache, *runs).fingerprints()
    assert {key: prints[key] for key in prints if key != "features"} == runs[0].state["fingerprints"]
    parts = {f"{key}.{part}" for key in ("data", "ood.foreign") for part in ("images", "fixations", "geometry")}
    assert prints.keys() == {"data", "weights", "features"} | parts
    assert not any("," in prints[key] for key in prints if not key.endswith("geometry"))


def test_runs_that_were_trained_on_other_contents_are_refused(run_of, cache):
    run = run_of(1, "loss=nll")
    state = run.state | {"fingerprints": run.state["fingerprints"] | {"weights": "0" * 64}}
    with pytest.raises(UserError) as caught:
        evaluated_runs(cache, dataclasses.replace(run, state=state))
    said = f"{run.folder} was trained on other contents than are there now: weights changed; give the folder"
    assert str(caught.value).startswith(said)


def test_runs_that_are_evaluated_on_other_images_are_refused(run_of, cache):
    runs = [run_of(1, "loss=nll"), run_of(2, "loss=nll_entropy", "ood.foreign.limit=21")]
    with pytest.raises(UserError) as caught:
        evaluated_runs(cache, *runs)
    first, images, *ways_out = str(caught.value).splitlines()
    assert first == f"{runs[1].folder} is evaluated on other images than {runs[0].folder}, so they cannot be compared:"
    assert "21 images of foreign, the first is 100.jpg; there: " in images and "22 images of foreign" in images
    assert len(ways_out) == 2


def test_what_became_of_the_images_is_counted(evaluator):
    """Each image of the two sets has fixations; a tenth of own is judged."""
    data = evaluator.runs.data()
    own, foreign = data["in_domain"], data["ood.foreign"]
    judged = own.n_images + len(own.seen)
    assert own.images == ImageCounts(len(OWN), 0, len(OWN), len(OWN) - judged)
    assert foreign.images == ImageCounts(len(FOREIGN), 0, len(FOREIGN), 0)
    assert (own.synthetic, foreign.synthetic) == (False, False)
