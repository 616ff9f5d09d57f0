"""The answer of an evaluation: one sentence, one number with its interval, what it rests on and what it does not say.

Everything here is derived from the other results, so that the page, the terminal and results.json say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from entreg.config import OWN
from entreg.results.domains import compared_rows, domains, main_first
from entreg.results.schema import (
    BETTER,
    FOREIGN,
    IG,
    LEFT_OUT,
    MEAN,
    NO_VERDICT,
    ONE_ORDER,
    ONE_TRAINING,
    SINGLE_SETS,
    UNDECIDED,
    WORSE,
    Answer,
    ArmResults,
    Compared,
    Difference,
    EvaluatedData,
    PooledOrSingle,
    Results,
    is_foreign,
)

EXACT = "float32"  # as model.backbone.precision
WITHOUT_ORDER = "the interval does not cover the order of batches, which the trainings of an arm share"
EFFECT_OF_ROUNDING = (
    "In the one comparison that was made, VGG-19 in bfloat16 changed the IG in domain (OSIE) by 0.0005 bit/fixation, "
    "out of domain (scene50) by 0.0017, and the entropy of the bias map by 0.0013 nats."
)


def answer_of(results: Results) -> Answer:
    """Return the answer: that of the primary outcome, else of the first regularised arm out of domain."""
    if results.primary.against == SINGLE_SETS and (pooled := pooled_or_single(results)) is not None:
        return _of_pooling(results, *pooled)
    arm = results.main_arm
    if arm is None:
        why = "no baseline" if results.baseline is None else "no regularised arm"
        sentence = f"Nothing is compared, since there is {why} among the arms: {', '.join(results.arms)}."
        nothing = (None,) * 7
        return Answer(
            NO_VERDICT,
            sentence,
            *nothing,
            None,
            _rests_on(results),
            [*_limits_of_models(results), *_limits_of_rows(results), *_roundings(results)],
        )
    domain, metric = main_domain(results), main_metric(results)
    compared = results.comparisons[arm].domains[domain]
    described = results.metrics[metric]
    cell = compared.differences[described.difference_key]
    baseline = results.comparisons[arm].baseline
    unit = f" in {described.unit}" if metric == IG else ""
    return Answer(
        verdict=cell.verdict,
        sentence=_sentence(results, arm, domain, metric, compared, cell),
        arm=arm,
        baseline=baseline,
        domain=domain,
        metric=metric,
        what=f"{described.title}{unit}, {arm} minus {baseline}, {domains(results)[domain]}",
        difference=cell.mean,
        interval=cell.ci95 or cell.ci95_over_images,
        interval_over=_covered(cell),
        rests_on=_rests_on(results),
        limits=[
            *_limits_of_models(results),
            *_limits_of_rows(results),
            *_limits_of_the_comparison(results, domain, compared, cell),
            *_roundings(results),
        ],
    )


def pooled_or_single(results: Results) -> tuple[str, Difference, PooledOrSingle] | None:
    """Return the arm whose pooled models are compared with single ones, what they differ by, and all about it.

    It is the primary outcome's arm, else the first one that has the comparison; None where none has. The difference is
    that after the adaptation, where there is one.
    """
    arms = {} if results.matrix is None else results.matrix.arms
    names = [name for name in (results.primary.arm, *arms) if name in arms and arms[name].pooled_or_single]
    if not names:
        return None
    found = arms[names[0]].pooled_or_single
    assert found is not None
    return names[0], (found.adapted or found.as_trained)[MEAN], found


def _of_pooling(results: Results, arm: str, cell: Difference, found: PooledOrSingle) -> Answer:
    """Return the answer of a study that is planned for pooled models against single ones."""
    sets = len(results.matrix.sets) if results.matrix else 0
    after = " after the adaptation to it" if found.adapted else ""
    said = {
        BETTER: f"models that learned from all others predict fixations better{after} than those of one other set do",
        WORSE: f"models that learned from all others predict fixations worse{after} than those of one other set do",
        UNDECIDED: f"models that learned from all others and those of one other set do not clearly differ{after}",
    }
    unsure = f"one training cannot tell models that learned from all others and those of one other set apart{after}"
    limits = [*_limits_of_models(results)]
    if cell.verdict == UNDECIDED and cell.ci95 is not None:
        limits.append(_not_equal(cell.ci95))
    limits += _not_planned(results)
    limits.append(f"What holds on these {sets} sets may not hold on others.")
    limits += _roundings(results)
    return Answer(
        verdict=cell.verdict,
        sentence=f"On a set that was left out, {said.get(cell.verdict, unsure)}.",
        arm=None,
        baseline=None,
        domain=None,
        metric=None,
        what=f"IG in bit/fixation{after}, all others pooled minus one other on average, {arm}, mean of {sets} sets",
        difference=cell.mean,
        interval=cell.ci95 or cell.ci95_over_images,
        interval_over=_covered(cell),
        rests_on=_rests_on(results),
        limits=limits,
    )


def main_domain(results: Results) -> str:
    """Return the domain that the answer is about."""
    return main_first(results)[0]


def main_metric(results: Results) -> str:
    """Return the key of the metric that the answer is about: that of the primary outcome, else IG."""
    return results.primary.metric if results.primary.arm is not None else IG


def backbone_in_words(arm: ArmResults) -> str | None:
    """Return an arm's backbone and its weights; None where they were not recorded."""
    if arm.configured is None:
        return None
    name, weights = arm.configured["model.backbone.name"], arm.configured["model.backbone.weights"]
    if weights == OWN:
        which = "weights of its own"
    else:
        which = "random weights" if weights is None else f"the weights {Path(weights).name}"
    precision = arm.configured.get("model.backbone.precision", EXACT)
    return f"{name} with {which}" + ("" if precision == EXACT else f", computed in {precision}")


def loss_in_words(arm: ArmResults) -> str | None:
    """Return what an arm's trainings minimise; None where it was not recorded, or nothing was trained."""
    if arm.configured is None or not arm.seeds:
        return None
    name = arm.configured["loss.name"]
    if name == "nll":
        return "the negative log likelihood (NLL) of fixations"
    weight, every = arm.configured["loss.lambda_entropy"], arm.configured["loss.every"]
    steps = "on every step" if every == 1 else f"on every {every}th step"
    if name == "nll_entropy":
        return f"the NLL minus {weight:g} \N{MULTIPLICATION SIGN} the entropy of the bias map, which counts {steps}"
    return f"the loss {name} with lambda {weight:g} {steps}"


def _sentence(results: Results, arm: str, domain: str, metric: str, compared: Compared, cell: Difference) -> str:
    """Return the verdict in words."""
    baseline, where = results.comparisons[arm].baseline, domains(results)[domain]
    where = f"{where[:1].upper()}{where[1:]}"
    title = "" if metric == IG else f" by {results.metrics[metric].title}"
    if cell.seeds == ONE_TRAINING:
        return f"{where}, one training of each arm cannot tell {arm} and {baseline} apart."
    if cell.seeds.endswith(ONE_ORDER):
        return f"{where}, trainings that share one order of batches cannot tell {arm} and {baseline} apart."
    if cell.verdict == NO_VERDICT:
        return f"{where}, a single image cannot tell {arm} and {baseline} apart."
    if cell.verdict == UNDECIDED:
        return f"{where}, there is no clear difference between {arm} and the baseline {baseline}{title}."
    shown = ", but it is not shown to know more about images" if metric == IG and compared.reading else ""
    better = "better" if cell.verdict == BETTER else "worse"
    return f"{where}, {arm} predicts fixations {better} than the baseline {baseline}{title}{shown}."


def _covered(cell: Difference) -> str | None:
    """Return what an interval covers."""
    if cell.ci95 is None:
        return None if cell.ci95_over_images is None else "other images, but not other trainings"
    return "other images" if cell.seeds.endswith(ONE_ORDER) else "other images and other trainings"


def _rests_on(results: Results) -> list[str]:
    """Return what the answer rests on, a sentence's part each."""
    lines = [_judged(key, results.data[key]) for key in _sets_main_first(results)]
    trainings = {name: len(arm.seeds) for name, arm in results.arms.items() if arm.seeds}
    if len(set(trainings.values())) == 1:
        count = next(iter(trainings.values()))
        lines.append(f"{count} training{'s' if count > 1 else ''} of each arm")
    elif trainings:
        lines.append(", ".join(f"{count} of {name}" for name, count in trainings.items()) + " as trainings")
    for what, words in (("backbone", backbone_in_words), ("loss", loss_in_words)):
        by_words: dict[str, list[str]] = {}
        for name in _answered(results):
            if said := words(results.arms[name]):
                by_words.setdefault(said, []).append(name)
        if len(by_words) == 1 and what == "backbone":
            lines.append(f"backbone: {next(iter(by_words))}")
        else:
            lines += [f"{what} of {', '.join(names)}: {said}" for said, names in by_words.items()]
    others = len(results.arms) - len(_answered(results))
    return (
        [*lines, f"{others} other arm{'s' if others > 1 else ''}, which the page compares below"] if others else lines
    )


def _answered(results: Results) -> list[str]:
    """Return the arms that the answer is about: all of them where nothing is compared."""
    arm = results.main_arm
    return [*results.arms] if arm is None else [results.comparisons[arm].baseline, arm]


def _sets_main_first(results: Results) -> list[str]:
    """Return the data sets, those of the main domain first."""
    main = main_domain(results)
    return sorted(results.data, key=lambda key: (key != main, is_foreign(key) != is_foreign(main)))


def _judged(key: str, data: EvaluatedData) -> str:
    """Return how much was judged of a data set, and whether people saw it."""
    kind = {True: "synthetic, seen by nobody", False: "recorded from people", None: ""}[data.synthetic]
    left_out = "left out of the training" if key.startswith(f"{LEFT_OUT}.") else "out of domain"
    place = left_out if is_foreign(key) else "in domain: held out"
    return (
        f"{data.n_images} image{'s' if data.n_images > 1 else ''} of {data.name} with {data.n_fixations} fixations "
        f"({place}{'; ' if kind else ''}{kind})"
    )


def _limits_of_models(results: Results) -> Iterator[str]:
    """Yield what follows from synthetic images and random weights."""
    drawn = [key for key, data in results.data.items() if data.synthetic]
    if drawn and len(drawn) == len(results.data):
        yield "All images are synthetic: this shows how the study works and says nothing about people."
    elif drawn:
        names = ", ".join(results.data[key].name for key in drawn)
        yield f"The images of {names} are synthetic, so what holds there says nothing about people."
    random = [
        name
        for name, arm in results.arms.items()
        if arm.configured is not None and arm.configured["model.backbone.weights"] is None
    ]
    if random:
        whose = "" if len(random) == len(results.arms) else f" of {', '.join(random)}"
        yield f"The backbone{whose} has random weights: it knows nothing about photos, and this is a demonstration."
    if not any(map(is_foreign, results.data)):
        yield "No foreign set was judged, so this says nothing about generalisation."


def _roundings(results: Results) -> Iterator[str]:
    """Yield what is known of a backbone that was not computed in float32, which is the least of the limits."""
    rounded = {
        name: precision
        for name, arm in results.arms.items()
        if arm.configured is not None and (precision := arm.configured.get("model.backbone.precision", EXACT)) != EXACT
    }
    if rounded:
        whose = "" if len(rounded) == len(results.arms) else f" of {', '.join(rounded)}"
        precisions = " and ".join(sorted({*rounded.values()}))
        yield f"The backbone{whose} was computed in {precisions}, not in float32. {EFFECT_OF_ROUNDING}"


def _limits_of_rows(results: Results) -> Iterator[str]:
    """Yield of which rows of the matrix of sets the answer is not, where it is not of all but one set each."""
    rows, matrix = compared_rows(results), results.matrix
    if results.main_arm is None and matrix and any(arm.against_baseline for arm in matrix.arms.values()):
        yield "Arms whose models learned from other sets are compared below the matrix of sets."
    elif results.main_arm is not None and len(rows) == 1:
        yield f"It is about models that learned from {rows[0]}; all others are compared below the matrix of sets."


def _limits_of_the_comparison(results: Results, domain: str, compared: Compared, cell: Difference) -> Iterator[str]:
    """Yield what the comparison does not say."""
    if cell.seeds == ONE_TRAINING:
        yield (
            "A single training of each arm cannot show a difference, because two trainings of the same arm differ as "
            "well: train several seeds (seed=0,1,2,3,4,5,6,7)."
        )
    elif cell.seeds.endswith(ONE_ORDER):
        yield f"{WITHOUT_ORDER[:1].upper()}{WITHOUT_ORDER[1:]}."
    elif cell.verdict == UNDECIDED and cell.ci95 is not None:
        yield _not_equal(cell.ci95)
    if compared.reading:
        yield "What makes it better may be flatter predictions or another centre bias alone."
    yield from _not_planned(results)
    few = [results.data[key] for key in _judged_in(results, domain) if results.data[key].few_images]
    if few:
        counts = " and ".join(f"{data.n_images} image{'s' * (data.n_images > 1)} of {data.name}" for data in few)
        verb = "is" if [data.n_images for data in few] == [1] else "are"
        yield f"The interval is uncertain, since {counts} {verb} few."
    changed = [data.name for data in results.data.values() if data.identity and data.identity.changed]
    if changed:
        yield f"The data of {', '.join(changed)} have changed since the training."
    if is_foreign(domain):
        names = [results.data[key].name for key in _judged_in(results, domain)]
        yield f"What holds on {_listed(names)} may not hold on other foreign sets."


def _not_planned(results: Results) -> Iterator[str]:
    if results.primary.arm is None:
        yield f"It was not planned: every comparison is exploratory ({results.primary.why})."


def _not_equal(ci95: tuple[float, float]) -> str:
    low, high = (f"{end:+.3f}".replace("-", "−") for end in ci95)
    return f"No clear difference is not equality: anything from {low} to {high} fits the data."


def _judged_in(results: Results, domain: str) -> list[str]:
    """Return the keys of the data sets that a domain is made of, which may be a mean over several."""
    if domain == FOREIGN:
        return [f"{FOREIGN}.{name}" for name in results.primary.planned]
    return [domain] if domain in results.data else [key for key in results.data if key.startswith(f"{domain}.")]


def _listed(names: list[str]) -> str:
    """Return names as a sentence lists them: A, B and C."""
    return " and ".join([*filter(None, [", ".join(names[:-1])]), names[-1]])
