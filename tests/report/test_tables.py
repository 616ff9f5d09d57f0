"""The answer on the terminal claims what was found and no more, and tables hold every mean of the results."""

from __future__ import annotations

import re

import pytest

from entreg.report import tables
from entreg.results.domains import domains
from entreg.results.reading import typed
from entreg.results.schema import NOT_SHOWN
from entreg.results.writing import plain
from tests.report.findings import TOO_LATE, findings

ONE_TRAINING = "a single training of each arm cannot show a difference."


@pytest.fixture
def told(tmp_path):
    """told(**settings): the answer's lines and the results of a study that was made up."""

    def tell(**settings) -> tuple[list[str], dict]:
        results = findings(tmp_path / str(len(list(tmp_path.iterdir()))), labels=("worst",), **settings).results
        return tables.answer(results), plain(results)

    return tell


def line(lines: list[str], begins: str) -> str:
    """The one line that begins so."""
    (found,) = (text for text in lines if text.startswith(begins))
    return found


@pytest.mark.parametrize("gain, said", [(0.3, "better"), (-0.3, "worse"), (0.0, "no clear difference")])
def test_the_primary_outcome_comes_first_with_its_verdict(told, gain, said):
    lines, results = told(gain=gain, foreign=2)
    cell = results["comparison"]["ood"]["ig_difference_bits"]
    low, high = cell["ci95"]
    assert lines[0] == "nll_entropy compared with nll (paired by seed):"
    assert lines[1].startswith(
        f"out of domain, mean of 2 sets (primary): IG {cell['mean']:+.4f} bit/fixation (95 % interval over images and "
        f"seeds {low:+.4f} to {high:+.4f}, p = {cell['p_holm']:.2g}, 54 images, 4 seeds): {said}. "
    )
    others = [text for text in lines if re.match(r"(in|out of) domain", text)][1:]
    assert [text.partition(":")[0] for text in others] == [
        "out of domain (elsewhere)",
        "out of domain (beyond)",
        "in domain",
    ]
    assert all(" (exploratory). " in text for text in others)


def test_any_domain_may_be_the_primary_outcomes(told):
    lines, _ = told(primary="in_domain")
    assert lines[1].startswith("in domain (primary): IG ") and "(exploratory)" not in lines[1]
    lines, _ = told(primary="ood.beyond", foreign=2)
    assert lines[1].startswith("out of domain (beyond) (primary): IG ") and "(exploratory)" not in lines[1]


def test_where_nothing_was_named_beforehand_it_is_said_why(told):
    lines, _ = told(primary=None, foreign=2)
    assert lines[1] == f"All comparisons are exploratory: {TOO_LATE}."
    assert lines[2].startswith("out of domain, mean of 2 sets: IG ") and "(exploratory)" in lines[2]
    assert "(primary)" not in "\n".join(lines)


def test_a_primary_outcome_of_another_metric_comes_first(told):
    """All of it is better but shuffled AUC, which was what the study was for."""
    lines, results = told(gain=0.1, falling=("sauc",), foreign=2, metric="sauc")
    cell = results["comparison"]["ood"]["sauc_difference"]
    assert not cell["exploratory"] and results["comparison"]["ood"]["ig_difference_bits"]["exploratory"]
    assert lines[1].startswith(f"out of domain, mean of 2 sets (primary): shuffled AUC {cell['mean']:+.4f} (95 %")
    assert " seeds): worse. " in lines[1]
    assert lines[2].startswith("out of domain, mean of 2 sets: IG +") and " better (exploratory). " in lines[2]


@pytest.mark.parametrize("primary", ["ood", "ood.elsewhere"])
def test_of_one_foreign_set_the_mean_and_the_set_are_one_comparison(told, primary):
    """Also where it is tested alone beside other lambdas: its p is not corrected in one place and not in the other."""
    lines, results = told(primary=primary, lambdas=(0.0, 0.1, 1.0), gain=0.02)
    compared = results["comparisons"]["nll_entropy_lambda1"]
    assert compared["ood"] == compared["ood.elsewhere"]
    cell = compared["ood.elsewhere"]["ig_difference_bits"]
    assert not cell["exploratory"] and cell["p_holm"] == cell["p"]
    assert lines[1].startswith("out of domain (elsewhere) (primary): IG ")


@pytest.mark.parametrize(
    "foreign, added, sets",
    [
        (1, 1, ["elsewhere"]),
        (2, 1, ["elsewhere", "beyond"]),
        (2, 2, ["elsewhere", "beyond"]),
    ],
)
def test_sets_that_were_not_planned_are_told_too(told, foreign, added, sets):
    lines, results = told(primary="in_domain", foreign=foreign, added=added)
    assert list(domains(typed(results))) == ["in_domain", *(f"ood.{name}" for name in sets)]
    for name in sets:
        assert " (exploratory). " in line(lines, f"out of domain ({name}): IG ")
    assert "mean of" not in "\n".join(lines)


def test_one_foreign_set_is_its_own_mean_and_said_once(told):
    lines, _ = told()
    assert sum(text.startswith("out of domain (elsewhere)") for text in lines) == 1
    assert "mean of" not in "\n".join(lines)


def test_parts_of_the_difference_are_said_with_their_intervals(told):
    lines, results = told(parts={"scale": 0.04})
    compared = results["comparison"]["ood"]
    ends = {part: f"({cell['ci95'][0]:+.4f} to {cell['ci95'][1]:+.4f})" for part, cell in compared["ladder"].items()}
    said = {part: f"{cell['mean']:+.4f} {ends[part]}" for part, cell in compared["ladder"].items()}
    assert line(lines, "  of ") == (
        f"  of {compared['ig_difference_bits']['mean']:+.4f}, {said['scale_and_spread']} is due to flatter predictions "
        f"(scale {said['scale']}, spread {said['spread']}), {said['centre_bias']} to the centre bias, and "
        f"{said['rest']} is left."
    )
    assert " is due to sharper predictions " in line(told(parts={"scale": -0.04})[0], "  of ")
    assert not any(text.startswith("  of ") for text in told(images=12)[0])


def test_the_terminal_says_what_the_results_say_and_decides_nothing(told):
    _, results = told(parts={"scale": 0.04})
    results["comparisons"]["nll_entropy"]["ood.elsewhere"]["sharpness"] = "elsewise"
    assert " is due to elsewise predictions " in line(tables.answer(typed(results)), "  of ")


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"gain": 0.1, "parts": {"scale": 0.1}}, 1),
        ({"gain": 0.1, "parts": {"scale": 0.02}}, 0),
        ({"gain": 0.1, "parts": {"scale": 0.1}, "foreign": 2}, 3),
        ({"gain": -0.1, "parts": {"scale": -0.1}}, 0),
    ],
    ids=str,
)
def test_better_with_nothing_left_is_said_to_show_no_knowledge_of_images(told, settings, said):
    assert told(**settings)[0].count(f"  {NOT_SHOWN}.") == said


def test_metrics_that_fall_while_the_gain_rises_are_said(told):
    lines, results = told(falling=("auc", "nss"), gain=0.1, foreign=0, primary="in_domain")
    means = [results["comparison"]["in_domain"][f"{key}_difference"]["mean"] for key in ("auc", "nss")]
    said = "AUC ({:+.4f}) and NSS ({:+.4f})".format(*means)
    assert max(means) < 0 and f"  IG as trained is higher, but {said} are lower." in lines
    assert not any("IG as trained" in text for text in told(gain=0.1)[0])


def test_what_more_seeds_would_buy_is_said(told):
    lines, results = told(seed_std=0.1)
    seeds = results["comparison"]["ood"]["ig_difference_bits"]["seeds_to_halve"]
    assert lines[1].endswith(f" {seeds} seeds would halve the interval.")
    lines, _ = told(seed_std=0.0, seeds=8)
    assert lines[1].endswith(" No number of seeds would halve the interval, since it comes from the images.")


def test_one_training_each_is_called_neither_better_nor_worse(told):
    lines, results = told(seeds=1, gain=0.3, foreign=2)
    assert not re.search(r"\b(better|worse)\b", tables.terminal(typed(results)))
    said = [text for text in lines if re.match(r"(in|out of) domain", text)]
    assert len(said) == 4 and "test" not in " ".join(lines)
    assert all(text.endswith(ONE_TRAINING) for text in said)
    assert all("these trained models differ by IG +0.2" in text or "differ by IG +0.3" in text for text in said)
    assert all("with other images like these" in text for text in said)


def test_one_image_has_no_interval(told):
    lines, _ = told(images=1, seeds=3, foreign=0, primary="in_domain")
    assert re.fullmatch(
        r"in domain \(primary\): IG \S+ bit/fixation on a single image, so there is no interval\.", lines[1]
    )
    lines, _ = told(images=1, seeds=1, foreign=0, primary="in_domain")
    said = rf"in domain \(primary\): these trained models differ by IG \S+ bit/fixation; {ONE_TRAINING}"
    assert re.fullmatch(said, lines[1])


def test_the_bias_maps_entropy_is_said_with_its_interval(told):
    lines, results = told()
    compared = results["comparison"]
    low, high = compared["bias_entropy_increase_ci95_nats"]
    said = line(lines, "The bias map's entropy changes by ")
    assert f" {compared['bias_entropy_increase_nats']:+.4f} nats " in said and f"{low:+.4f} to {high:+.4f}" in said
    assert f"{compared['bias_entropy_increase_percent']:+.2f} %" in said
    assert " to " not in line(told(seeds=1)[0], "The bias map's entropy changes by ")


def test_a_sweep_is_answered_by_all_its_arms_not_the_first_alone(told):
    """Each arm is better than the one before by 0.01 bit, which noise hides at first; corrected, some stay unclear."""
    lines, results = told(lambdas=(0.0, 0.1, 1.0, 10.0), gain=0.01, foreign=2)
    comparisons = results["comparisons"]
    said = tables.overview(typed(results))
    assert list(said) == ["ood", "ood.elsewhere", "ood.beyond", "in_domain"]
    for domain, by_verdict in said.items():
        assert sorted(arm for arms in by_verdict.values() for arm in arms) == sorted(comparisons)
        for word, arms in by_verdict.items():
            for arm in arms:
                cell = comparisons[arm][domain]["ig_difference_bits"]
                assert cell["verdict"] == word
                assert (word == "better") is (cell["ci95"][0] > 0 and cell["p_holm"] < 0.05)
                assert f"{arm} ({cell['mean']:+.4f})" in line(lines[-4:], domains(typed(results))[domain] + ": ")
    assert {word for by_verdict in said.values() for word in by_verdict} == {"better", "no clear difference"}


def test_an_arm_whose_name_begins_anothers_is_told_too(told):
    _, results = told(lambdas=(0.0, 0.1, 1.0))
    long, short = results["comparisons"]
    results["comparisons"] = {f"{short}0": results["comparisons"][long], short: results["comparisons"][short]}
    for by_verdict in tables.overview(typed(results)).values():
        assert sorted(sum(by_verdict.values(), [])) == sorted([f"{short}0", short])


def test_one_lambda_leaves_nothing_to_choose(told):
    lines, results = told()
    assert not results["lambda_chosen_on_validation"] and not any("The best lambda" in text for text in lines)
    lines, results = told(lambdas=(0.0, 1.0, 3.0))
    assert results["lambda_chosen_on_validation"]
    assert any("The best lambda was not fixed beforehand" in text for text in lines)


@pytest.mark.parametrize("lambdas", [(0.0,), (0.1, 1.0)])
def test_without_two_arms_nothing_is_compared(told, lambdas):
    lines, results = told(lambdas=lambdas)
    assert lines == ["Nothing is compared: a comparison needs a baseline (loss=nll or lambda 0) and a regularised arm."]
    assert tables.comparisons(typed(results)) == []


def test_the_terminal_has_a_row_for_each_arm_and_domain(told):
    _, results = told(foreign=2)
    _, head, unit, *rest = tables.terminal(typed(results)).splitlines()
    rows = rest[: rest.index("")]
    assert len(rows) == 2 * 4 and head.split()[:3] == ["arm", "domain", "images"] and "bit/fix" in unit
    cell = results["arms"]["nll"]["ood"]["ig_bits_per_fixation"]
    low, high = cell["ci95"]
    own = line(rows, "nll          out of domain, mean of 2 sets")
    assert f" 54      4      {cell['mean']:.4f} ± {(high - low) / 2:.4f}" in own
    assert "±" not in tables.terminal(typed(told(seeds=1)[1]))  # what it would be of is not the same


def test_tables_hold_every_mean_of_the_results(told):
    _, results = told(foreign=2)
    rows = {(row["arm"], row["domain"], row["metric"]): row for row in tables.arms(typed(results))}
    for domain in ("in_domain", "ood", "ood.elsewhere", "ood.beyond"):
        for key, cell in results["arms"]["nll"][domain].items():
            if isinstance(cell, dict) and "ci95" in cell:
                row = rows["nll", domain, key]
                assert [row[name] for name in ("mean", "ci95_low", "ci95_high", "n_images", "n_seeds")] == [
                    cell["mean"],
                    *cell["ci95"],
                    cell["n_images"],
                    4,
                ]
    assert rows["nll", None, "bias_entropy_nats"]["mean"] == results["arms"]["nll"]["bias_entropy_nats"]
    compared = {(row["domain"], row["metric"]): row for row in tables.comparisons(typed(results))}
    cell = results["comparison"]["ood"]["ig_difference_bits"]
    row = compared["ood", "ig_difference_bits"]
    assert (row["arm"], row["baseline"], row["seeds"]) == ("nll_entropy", "nll", "paired by seed")
    for name in ("mean", "p", "p_holm", "verdict", "exploratory", "seeds_to_halve", "images_part", "seeds_part"):
        assert row[name] == cell[name], name
    part = results["comparison"]["ood.beyond"]["ladder"]["rest"]
    assert compared["ood.beyond", "ladder.rest"]["ci95_low"] == part["ci95"][0]
    assert ("in_domain", "ladder.rest") not in compared


def test_every_row_of_a_table_has_the_same_columns(told):
    """Trained once or several times; the arms' own numbers alone have fewer."""
    for settings in ({}, {"seeds": 1}):
        _, results = told(**settings)
        assert len({tuple(row) for row in tables.comparisons(typed(results))}) == 1
        assert len({tuple(row) for row in tables.arms(typed(results)) if row["domain"]}) == 1
    row = next(row for row in tables.comparisons(typed(results)) if row["metric"] == "ig_difference_bits")
    low, high = results["comparison"][row["domain"]]["ig_difference_bits"]["ci95_over_images"]
    assert (row["ci95_low"], row["ci95_over_images_low"], row["ci95_over_images_high"]) == (None, low, high)


def test_rows_of_arms_say_their_settings(told):
    _, results = told(lambdas=(0.0, 0.1, 1.0), weights=None)
    rows = {row["arm"]: row for row in tables.arms(typed(results))}
    lambdas = {name: row["loss.lambda_entropy"] for name, row in rows.items()}
    assert lambdas == {"nll": None, "nll_entropy_lambda0.1": 0.1, "nll_entropy_lambda1": 1.0}
    backbones = {(row["model.backbone.name"], row["model.backbone.weights"]) for row in rows.values()}
    assert backbones == {("vgg19", None)}


def test_settings_by_which_arms_differ_come_first(told):
    settings = tables.settings(typed(told(lambdas=(0.0, 0.1, 1.0))[1]))
    assert list(settings)[:2] == ["loss.lambda_entropy", "loss.name"]
    assert settings["loss.lambda_entropy"] == {"nll_entropy_lambda0.1": 0.1, "nll_entropy_lambda1": 1.0}
    assert settings["model.backbone.name"] == dict.fromkeys(
        ("nll", "nll_entropy_lambda0.1", "nll_entropy_lambda1"), "vgg19"
    )
