"""What a study was for is what its runs recorded; where they disagree or are judged otherwise, all is exploratory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from entreg.config import Config, Evaluation, Loss, Model, Primary
from entreg.data.sources import synthetic
from entreg.errors import DataError
from entreg.evaluation.arms import arms_of
from entreg.evaluation.plan import plan_of
from entreg.evaluation.selection import select_arms, select_plan
from entreg.losses import nll, nll_entropy
from entreg.results.schema import Plan
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun


def foreign(name: str, **settings) -> synthetic.Settings:
    return synthetic.Settings(source="synthetic", name=name, root=f"/data/{name}", **settings)


def config(
    loss: Loss, seed: int, sets: tuple[str, ...], primary: Primary | None = None, model: Model | None = None
) -> Config:
    return Config(
        data=foreign("photos"),
        loss=loss,
        seed=seed,
        ood={name: foreign(name) for name in sets},
        study="s",
        model=model or Model(),
        evaluation=Evaluation(primary=primary or Primary()),
    )


NLL, ENTROPY = nll.Settings(), nll_entropy.Settings()


class Study:
    """Runs in folders of their own, each with the plan that it recorded when it was started."""

    def __init__(self, place: Path) -> None:
        self.place, self.runs = place, []

    def trained(self, loss: Loss, seed: int = 0, sets: tuple[str, ...] = ("a", "b"), **settings) -> FinishedRun:
        folder = RunFolder(self.place / str(len(self.runs)))
        folder.path.mkdir()
        run = FinishedRun(folder, config(loss, seed, sets, **settings), {})
        folder.write_plan(run.config)
        self.runs.append(run)
        return run

    def both(self, **settings) -> Study:
        for loss in (NLL, ENTROPY):
            self.trained(loss, **settings)
        return self

    def judged(self, sets: dict[str, synthetic.Settings]) -> Study:
        """The same runs, with other foreign sets typed for the evaluation."""
        self.runs = [replace(run, config=replace(run.config, ood=sets)) for run in self.runs]
        return self

    def plan(self, *typed: str) -> Plan:
        return plan_of(arms_of(self.runs)[0], typed)


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


def test_a_study_of_both_arms_has_the_primary_outcome_that_it_recorded(study):
    assert study.both().plan() == Plan("nll_entropy", "ood", "ig_bits_per_fixation", ["a", "b"], [], None)


@pytest.mark.parametrize(
    "primary, expected",
    [
        (Primary(domain="in_domain", prior="kde"), ("in_domain", "ig_kde_bits_per_fixation")),
        (Primary(domain="ood.b", metric="sauc"), ("ood.b", "sauc")),
    ],
)
def test_domain_and_metric_are_the_recorded_ones(study, primary, expected):
    found = study.both(primary=primary).plan()
    assert (found.arm, found.why) == ("nll_entropy", None) and (found.domain, found.metric) == expected


def test_what_is_typed_for_an_evaluation_comes_too_late(study):
    found = study.both().plan("runs", "evaluation.primary.domain")
    assert found.arm is None
    assert found.why == "evaluation.primary was typed for this evaluation, after the runs were trained"


def test_settings_of_the_evaluation_itself_may_be_typed(study):
    assert study.both().plan("runs", "evaluation.seed", "ood.a.sigma_px").why is None


def test_what_a_run_is_judged_by_is_what_it_recorded_not_what_its_config_says_now(study):
    study.both(primary=Primary(domain="in_domain"))
    study.runs = [replace(run, config=replace(run.config, evaluation=Evaluation())) for run in study.runs]
    assert (study.plan().domain, study.plan().why) == ("in_domain", None)


def test_runs_of_the_first_version_recorded_nothing(study):
    study.both()
    study.runs[0].folder.plan.unlink()
    found = study.plan()
    assert found.arm is None and found.planned == ["a", "b"] and found.added == []
    assert found.why == "1 of 2 runs do not record a primary outcome"
    study.runs[1].folder.plan.unlink()
    assert study.plan().why.startswith("2 of 2 runs do not record")
    assert (study.plan().domain, study.plan().metric) == ("ood", "ig_bits_per_fixation")


def test_a_metric_that_is_no_longer_there_is_named_with_those_that_are(study):
    study.both(primary=Primary(metric="beauty"))
    with pytest.raises(DataError, match=rf"{study.place}/0 was planned for .*=beauty is no metric .*\(one of ig, ll, "):
        study.plan()


def test_a_plan_that_cannot_be_read_is_named(study):
    study.both()
    study.runs[1].folder.plan.write_text('{"primary": ')
    with pytest.raises(DataError, match=rf"{study.runs[1].folder.plan}: cannot be read as JSON"):
        study.plan()


def test_runs_with_different_primary_outcomes_have_none(study):
    study.trained(NLL, primary=Primary(domain="in_domain"))
    study.trained(ENTROPY)
    found = study.plan()
    assert found.arm is None and found.why == "the runs were started with different primary outcomes"


def test_runs_with_different_foreign_sets_have_none(study):
    study.trained(NLL, sets=("a",))
    study.trained(ENTROPY)
    found = study.judged({"a": foreign("a"), "b": foreign("b")}).plan()
    assert found.arm is None and found.why == "the runs were started with different foreign sets"
    # all is exploratory, so that the mean may as well be over all sets that are judged
    assert found.planned == ["a", "b"]


@pytest.mark.parametrize(
    "sets, absent",
    [
        ({"b": foreign("b")}, "a"),
        ({"a": foreign("a", limit=5), "b": foreign("b")}, "a"),
        ({"a": foreign("a", sigma_px=7.0), "b": foreign("b", limit=5)}, "a, b"),
        # another set under the same name
        ({"a": foreign("a", seed=3), "b": foreign("b")}, "a"),
        ({}, "a, b"),
    ],
    ids=str,
)
def test_planned_sets_are_judged_as_planned_or_all_is_exploratory(study, sets, absent):
    found = study.both().judged(sets).plan()
    assert found.arm is None and found.planned == list(sets)
    assert found.why == f"foreign sets that were planned are not evaluated as planned: {absent}"


def test_where_a_set_lies_is_no_part_of_the_plan(study):
    moved = {"a": foreign("a"), "b": replace(foreign("b"), root="/elsewhere/b")}
    assert study.both().judged(moved).plan().why is None


def test_a_set_that_is_not_the_primary_outcomes_may_be_judged_otherwise(study):
    study.both(primary=Primary(domain="ood.a")).judged({"a": foreign("a"), "b": foreign("b", limit=5)})
    assert study.plan() == Plan("nll_entropy", "ood.a", "ig_bits_per_fixation", ["a"], ["b"], None)


def test_a_set_that_nobody_planned_cannot_be_the_primary_outcome(study):
    found = study.both(primary=Primary(domain="ood.c")).judged({"c": foreign("c")}).plan()
    assert found.arm is None and found.why == "foreign sets that were planned are not evaluated as planned: c"


def test_out_of_domain_needs_a_foreign_set(study):
    found = study.both(sets=()).plan()
    assert found.arm is None and found.why == "no foreign set was planned"
    assert found.planned == [] and found.added == []


def test_in_domain_needs_none(study):
    assert study.both(sets=(), primary=Primary(domain="in_domain")).plan().why is None


def test_sets_that_were_left_out_can_be_the_primary_outcome(study):
    def leave_out(*names: str | None) -> None:
        for of_run, name in zip(study.runs, names, strict=True):
            of_run.config.leave_out = name
            of_run.config.sets = {of_set: foreign(of_set) for of_set in ("x", "y", "z")}

    for loss in (NLL, ENTROPY):
        for _ in range(2):
            study.trained(loss, sets=(), primary=Primary(domain="left_out"))
    assert study.plan().why == "no set was left out"
    leave_out("x", "y", "x", "y")
    assert (study.plan().arm, study.plan().domain) == ("nll_entropy", "left_out")
    leave_out("x", "x", "x", "x")
    assert study.plan().tested == {"left_out.x"}


def test_a_set_that_was_added_is_named_and_not_in_the_mean(study):
    study.both().judged({name: foreign(name) for name in ("c", "a", "b")})
    assert study.plan() == Plan("nll_entropy", "ood", "ig_bits_per_fixation", ["a", "b"], ["c"], None)


def test_of_a_lambda_sweep_lambda_one_is_the_primary_arm(study):
    for value in (0.0, 0.3, 1.0, 3.0):
        for seed in (0, 1):
            study.trained(replace(ENTROPY, lambda_entropy=value), seed)
    assert study.plan().arm == "nll_entropy_lambda1"


@pytest.mark.parametrize(
    "loss, model",
    [
        (replace(ENTROPY, every=1), None),
        (replace(ENTROPY, lambda_entropy=0.3), None),
        (replace(ENTROPY, center_bias="uniform"), None),
        (ENTROPY, Model(center_bias="uniform")),
    ],
    ids=["every", "lambda", "loss.center_bias", "model.center_bias"],
)
def test_an_arm_with_other_settings_is_not_the_one_that_was_named(study, loss, model):
    study.trained(NLL, model=model)
    study.trained(loss, model=model)
    found = study.plan()
    assert found.arm is None
    assert found.why.startswith("no arm has the settings that were named beforehand (loss.name=nll_entropy, ")
    assert "loss.every=10" in found.why and "model.center_bias=kde" in found.why


def test_among_several_arms_the_one_that_was_named_is_told_apart(study):
    for model in (None, Model(center_bias="uniform")):
        study.both(model=model)
    for loss in (replace(ENTROPY, every=1), replace(ENTROPY, normalisation="minmax")):
        study.trained(loss)
    arms = {arm.name: arm for arm in arms_of(study.runs)[0]}
    named = arms[study.plan().arm].runs[0].config
    assert named.loss == ENTROPY and named.model.center_bias == "kde"


def test_an_arm_that_differs_from_its_baseline_by_more_is_another(study):
    """The baseline began with another blur, so that the difference is not the loss's alone."""
    study.trained(NLL, model=Model(sigma_px=5.0))
    study.trained(ENTROPY)
    assert study.plan().why.startswith("no arm has the settings")


@pytest.mark.parametrize("settings", [{"center_bias": "uniform"}, {"center_bias": "uniform", "sigma_px": 5.0}], ids=str)
def test_an_arm_may_be_named_by_settings_beside_the_loss(study, settings):
    named = {f"model.{key}": value for key, value in settings.items()}
    primary = Primary(arm=Primary().arm | named)
    study.trained(NLL, primary=primary)
    study.trained(ENTROPY, primary=primary, model=Model(**settings))
    study.trained(replace(ENTROPY, lambda_entropy=3.0), primary=primary, model=Model(**settings))
    (arm,) = (arm for arm in arms_of(study.runs)[0] if arm.name == study.plan().arm)
    config = arm.runs[0].config
    assert config.loss == ENTROPY and {key: getattr(config.model, key) for key in settings} == settings


def test_settings_that_both_arms_share_tell_arms_of_one_description_apart_no_further(study):
    """The same two arms at two widths of the blur: nobody said which of them is meant."""
    for sigma_px in (8.0, 5.0):
        study.both(model=Model(sigma_px=sigma_px))
    found = study.plan()
    names = [arm.name for arm in arms_of(study.runs)[0] if not arm.is_baseline]
    assert found.arm is None and found.planned == ["a", "b"] and len(names) == 2
    assert found.why.startswith("several arms have the settings that were named beforehand (loss.name=nll_entropy, ")
    assert found.why.endswith(f"): {', '.join(names)}")
    told = replace(Primary(), arm=Primary().arm | {"model.sigma_px": 5.0})
    for run in study.runs:
        run.folder.plan.unlink()
        run.config.evaluation.primary = told
        run.folder.write_plan(run.config)
    assert study.plan().arm == names[1] and "5" in names[1]


def test_without_a_baseline_nothing_is_meant(study):
    study.trained(ENTROPY)
    assert study.plan().why.startswith("no arm has the settings")


def test_a_plan_is_written_once(study):
    run = study.trained(ENTROPY)
    first = run.folder.plan.read_bytes()
    assert run.folder.read_plan() == {
        "primary": vars(Primary()),
        "ood": {name: vars(foreign(name)) for name in ("a", "b")},
    }
    run.folder.write_plan(config(ENTROPY, 0, ("c",), Primary(domain="in_domain")))
    assert run.folder.plan.read_bytes() == first


def test_a_plan_that_was_changed_is_named(study):
    run = study.trained(ENTROPY)
    text = run.folder.plan.read_text()
    run.folder.plan.write_text(text.replace('"domain": "ood"', '"domain": "in_domain"'))
    with pytest.raises(DataError, match=r"plan.json was changed after it was written"):
        run.folder.read_plan()
    run.folder.plan.write_text(text)
    assert run.folder.read_plan() is not None


def test_a_run_without_a_plan_says_so(tmp_path):
    assert RunFolder(tmp_path).read_plan() is None


SINGLE = Primary(domain="left_out", against="single_sets", arm={"loss.name": "nll", "loss.lambda_entropy": 1.0})


def learned_from(study: Study, *rows: str, primary: Primary = SINGLE, loss: Loss = NLL) -> None:
    """A run that learned from each of these sets, named by letters."""
    for row in rows:
        run = study.trained(loss, sets=(), primary=primary)
        run.config.sets = {name: foreign(name) for name in row}


def plan_of_rows(study: Study) -> Plan:
    return select_plan(select_arms(study.runs, [])[0], [])


def test_pooled_sets_against_one_can_be_planned_of_a_baseline(study):
    learned_from(study, "a", "b", "c", "ab", "ac", "bc")
    plan = plan_of_rows(study)
    assert (plan.arm, plan.against, plan.domain, plan.why) == ("nll", "single_sets", "left_out", None)
    assert plan.tested == set()  # no comparison with a baseline is the primary outcome


def test_pooled_sets_against_one_need_runs_of_one_set_that_recorded_the_same(study):
    learned_from(study, "ab", "ac", "bc")
    assert plan_of_rows(study).why == "no models learned from one set alone beside those that learned from all but one"
    learned_from(study, "a", "b", "c", primary=replace(SINGLE, arm={"loss.name": "nll_entropy"}))
    assert plan_of_rows(study).why == "the runs were started with different primary outcomes"


def test_runs_of_other_sets_that_were_added_later_leave_a_plan_against_the_baseline_as_it_is(study):
    for loss in (NLL, ENTROPY):
        learned_from(study, "ab", "ac", "bc", primary=Primary(domain="left_out"), loss=loss)
    learned_from(study, "a", "b", primary=Primary(domain="in_domain"))
    assert (plan_of_rows(study).arm, plan_of_rows(study).why) == ("nll_entropy", None)


def test_no_plan_is_about_the_first_of_several_rows_of_as_many_sets(study):
    """What learned from c alone was left out of the arms as what learned from b was, and by its name alone."""
    for loss in (NLL, ENTROPY):
        learned_from(study, "b", "c", "d", primary=Primary(domain="left_out"), loss=loss)
    plan = plan_of_rows(study)
    assert plan.arm is None and plan.why == (
        "the arms are compared by models that learned from b, the first by name of several rows of as many sets, and "
        "none of these was named beforehand"
    )
    for loss in (NLL, ENTROPY):
        learned_from(study, "bc", primary=Primary(domain="left_out"), loss=loss)
    assert (plan_of_rows(study).arm, plan_of_rows(study).why) == ("nll_entropy", None)


def test_of_two_sets_each_is_all_but_one(study):
    for loss in (NLL, ENTROPY):
        learned_from(study, "a", "b", primary=Primary(domain="left_out"), loss=loss)
    assert (plan_of_rows(study).arm, plan_of_rows(study).why) == ("nll_entropy", None)
