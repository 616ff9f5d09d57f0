"""report.html: every number is results.json's, the answer claims what was found and no more, and all can read it."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from entreg.report import page
from entreg.report.data_pictures import overview
from entreg.results.reading import typed
from entreg.results.schema import NOT_SHOWN, OtherModel
from entreg.results.writing import plain
from entreg.runs.folder import RunFolder
from tests.report.browser import CHROMIUM, Page, assert_numbers_are_the_results, console, laid_out
from tests.report.findings import TOO_LATE, findings
from tests.report.test_data_pictures import looked

PAINTING = [
    "two arms",
    pytest.param("one training each", marks=pytest.mark.slow),
    pytest.param("lambda sweep", marks=pytest.mark.slow),
]  # figures take seconds
STUDIES = {
    "two arms": {"parts": {"scale": 0.03}},
    "lambda sweep": {
        "lambdas": (0.0, 0.1, 1.0, 3.0, 10.0),
        "seeds": 3,
        "categories": True,
        "labels": ("worst",),
        "primary": None,
        "foreign": 2,
    },
    "two foreign sets": {"foreign": 2, "lambdas": (0.0, 0.1, 1.0), "falling": ("auc",)},
    "one training each": {"seeds": 1, "foreign": 2, "gain": 0.3},
    "one arm, one training, in domain": {"lambdas": (1.0,), "seeds": 1, "foreign": 0},
    "few images": {"images": 12},
    "one image": {"images": 1, "seeds": 1, "foreign": 0},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory, painting):
    """(path of the page, results as results.json holds them) of a study, written once, with its pictures or without."""
    done = {}

    def write(name: str):
        if (name, painting.is_on) not in done:
            folder = tmp_path_factory.mktemp("report")
            content = findings(folder / "sweep", **STUDIES[name])
            page.write(RunFolder(folder), content)
            done[name, painting.is_on] = (
                RunFolder(folder).report,
                json.loads(json.dumps(plain(content.results), allow_nan=False)),
            )
        return done[name, painting.is_on]

    return write


@pytest.fixture
def told(tmp_path):
    """told(**settings): the answer of a page, and the results."""

    def tell(**settings):
        place = tmp_path / f"sweep {len(list(tmp_path.iterdir()))}"
        content = findings(place, labels=("worst",), **settings)
        page.write(RunFolder(tmp_path), content)
        return section(RunFolder(tmp_path).report, "details"), plain(content.results)

    return tell


def test_control_characters_of_names_are_escaped_on_the_page(tmp_path):
    content = findings(tmp_path / "sweep", labels=("worst",))
    results = dataclasses.replace(content.results, study="s\x1b[31m\u202e<b>é")
    page.write(RunFolder(tmp_path), dataclasses.replace(content, results=results))
    assert r"<code>s\x1b[31m\u202e&lt;b&gt;é</code>" in RunFolder(tmp_path).report.read_text(encoding="utf-8")


def test_the_data_of_every_domain_are_shown_as_in_a_preview(tmp_path):
    content = findings(tmp_path / "sweep", labels=("worst",))
    look = looked(tmp_path)
    shown = section_of(dataclasses.replace(content, looks={"in_domain": look, "ood.elsewhere": look}), tmp_path, "data")
    assert [picture["alt"] for picture in shown.pictures] == 2 * [picture.alt for picture in overview(look)]
    assert "made_up, in domain" in shown.text and "elsewhere, out of domain" in shown.text
    text = RunFolder(tmp_path).report.read_text(encoding="utf-8")
    assert '<a href="#data">Data</a>' in text


def section(path: Path, label: str) -> Page:
    """One section of the page."""
    return Page(re.search(rf'<section[^>]* aria-labelledby="{label}">.*?</section>', path.read_text(), re.S)[0])


def section_of(content: page.Content, folder: Path, label: str) -> Page:
    """One section of the page that is written into the folder."""
    page.write(RunFolder(folder), content)
    return section(RunFolder(folder).report, label)


def words(shown: Page) -> str:
    return " ".join(shown.text.split())


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_is_that_of_the_results(written, name):
    path, results = written(name)
    assert_numbers_are_the_results(Page(path.read_text()), results)


@pytest.mark.parametrize("name", STUDIES)
def test_page_stands_alone_and_can_be_read_aloud(written, name):
    text = written(name)[0].read_text()
    shown = Page(text)
    assert shown.loaded and all(address.startswith("data:image/") for address in shown.loaded)
    assert "@import" not in text and "url(" not in text and "script" not in shown.tags
    assert shown.title and '<html lang="en">' in text
    assert all(len(picture["alt"]) > 20 for picture in shown.pictures)
    levels = [int(tag[1]) for tag in shown.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))
    assert shown.tags.count("table") == shown.tags.count("caption")
    assert not re.search(r"\b(nan|None|inf|Undefined)\b", shown.text)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|aria-labelledby=")([^"]+)"', text)) <= set(ids)


@pytest.mark.painted
@pytest.mark.parametrize("name", PAINTING)
def test_pictures_can_be_seen(written, name):
    for picture in Page(written(name)[0].read_text()).pictures:
        kind, _, content = picture["src"].partition(";base64,")
        drawn = base64.b64decode(content, validate=True)
        if kind == "data:image/svg+xml":
            assert float(ET.fromstring(drawn).get("width").removesuffix("pt")) > 200
            continue
        with Image.open(io.BytesIO(drawn)) as image:
            image.load()
            assert image.width > 200


@pytest.mark.parametrize("gain, said", [(0.3, "better"), (-0.3, "worse"), (0.0, "no clear difference")])
def test_answer_tells_better_from_worse_from_unclear(told, gain, said):
    answer, results = told(gain=gain)
    cell = results["comparison"]["ood.elsewhere"]["ig_difference_bits"]
    assert cell["verdict"] == said and abs(cell["mean"] - gain) < 0.05
    sentence = words(answer).partition(". Of ")[0]
    expected = (
        r"The answer in full Out of domain \(elsewhere\) the information gain of the regularised arm nll_entropy "
        r"differs from that of the baseline nll by \S+ bit/fixation "
        r"\(95 % interval \S+ to \S+, p [=<] \S+; 27 images, 4 seeds\): (.*)"
    )
    assert re.fullmatch(expected, sentence)[1] == said
    shown = dict(answer.numbers).keys()
    assert shown >= {f"comparison.ood.elsewhere.ig_difference_bits.{key}" for key in ("mean", "ci95.0", "p_holm")}
    in_domain = results["comparison"]["in_domain"]["ig_difference_bits"]["verdict"]
    assert re.search(r"In domain it differs by [^:]*: (.*?)\.", words(answer)).group(1) == f"{in_domain} (exploratory)"


@pytest.mark.parametrize(
    "settings, colour",
    [
        ({"gain": 0.3}, "better"),
        ({"gain": -0.3}, "worse"),
        ({"gain": 0.0}, "unclear"),
        ({"gain": 0.1, "parts": {"scale": 0.1}}, "unclear"),  # better by its scale alone
    ],
)
def test_the_answer_has_the_colour_of_good_news_only_where_more_is_known(tmp_path, settings, colour):
    page.write(RunFolder(tmp_path), findings(tmp_path / "sweep", labels=("worst",), **settings))
    text = RunFolder(tmp_path).report.read_text(encoding="utf-8")
    assert re.search(r'<p class="verdict (\w+)">', text)[1] == colour


@pytest.mark.parametrize("scale, said", [(0.04, "flatter"), (-0.04, "sharper")])
def test_the_parts_of_the_difference_are_said_with_their_intervals(told, scale, said):
    answer, results = told(parts={"scale": scale, "centre_bias": 0.01}, foreign=2)
    number = r"([+−]?[\d.]+)"
    part = rf"{number} \({number} to {number}\)"
    found = re.search(
        rf"Of {number} bit out of domain, mean of 2 sets, {part} is due to {said} predictions \(scale {part}, "
        rf"spread {part}\), {part} to the centre bias, and {part} is left: this part remains after each model was "
        r"adapted to the foreign images by three numbers\.",
        words(answer),
    )
    ladder = results["comparison"]["ood"]["ladder"]
    expected = [results["comparison"]["ood"]["ig_difference_bits"]["mean"]]
    for name in ("scale_and_spread", "scale", "spread", "centre_bias", "rest"):
        expected += [ladder[name]["mean"], *ladder[name]["ci95"]]
    assert [float(text.replace("−", "-")) for text in found.groups()] == pytest.approx(expected, abs=0.00051)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"gain": 0.1, "parts": {"scale": 0.1}}, True),
        ({"gain": 0.1, "parts": {"scale": 0.02}}, False),
        ({"gain": 0.0}, False),
        ({"gain": -0.1, "parts": {"scale": -0.1}}, False),
        ({"gain": 0.3, "parts": {"centre_bias": 0.5}}, True),
        ({"gain": 0.1, "images": 12}, False),
    ],
    ids=str,
)
def test_better_with_nothing_left_is_said_to_show_no_knowledge_of_images(told, settings, said):
    """Exactly where IG is better and the rest is not clearly above 0."""
    answer, results = told(**settings)
    compared = results["comparison"]["ood"]
    low = compared["ladder"]["rest"]["ci95"][0] if compared["ladder"] else 1.0
    assert (compared["ig_difference_bits"]["verdict"] == "better" and low <= 0) is said
    assert (f"{NOT_SHOWN[0].upper()}{NOT_SHOWN[1:]}." in answer.text) is said


@pytest.mark.parametrize(
    "falling, said",
    [
        (("auc", "sauc", "nss"), "AUC ({auc}) and shuffled AUC ({sauc}) and NSS ({nss}) are lower."),
        (("sauc",), "shuffled AUC ({sauc}) is lower."),
    ],
)
def test_metrics_that_fall_while_the_gain_rises_are_said(told, falling, said):
    answer, results = told(falling=falling, gain=0.1)
    cells = results["comparison"]["ood"]
    numbers = {key: f"{cells[f'{key}_difference']['mean']:.4f}".replace("-", "−") for key in falling}
    assert f"Information gain as trained is higher, but {said.format(**numbers)}" in words(answer)


def test_metrics_that_fall_are_said_in_every_domain_and_of_every_arm(told, tmp_path):
    answer, results = told(falling=("sauc",), gain=0.1, foreign=2, lambdas=(0.0, 0.1, 1.0))

    def said(arm: str, domain: str) -> str:
        mean = f"{results['comparisons'][arm][domain]['sauc_difference']['mean']:.4f}".replace("-", "−")
        return f"Information gain as trained is higher, but shuffled AUC ({mean}) is lower."

    lines = [words(Page(text)) for text in re.findall("<li>.*?</li>", answer.source, re.S)]
    for domain, begins in (
        ("ood.elsewhere", "Out of domain (elsewhere)"),
        ("ood.beyond", "Out of domain (beyond)"),
        ("in_domain", "In domain"),
    ):
        assert said("nll_entropy_lambda1", domain) in next(line for line in lines if line.startswith(begins))
    foreign = words(section(RunFolder(tmp_path).report, "foreign"))
    for name in ("elsewhere", "beyond"):
        for arm in ("nll_entropy_lambda0.1", "nll_entropy_lambda1"):
            assert said(arm, f"ood.{name}") in foreign


def test_every_foreign_set_on_which_nothing_is_left_says_so(told):
    answer, results = told(gain=0.1, parts={"scale": 0.1}, foreign=2)
    assert all(results["comparison"][f"ood.{name}"]["reading"] == NOT_SHOWN for name in ("elsewhere", "beyond"))
    assert words(answer).count(f"{NOT_SHOWN[0].upper()}{NOT_SHOWN[1:]}.") == 3


def test_the_page_says_what_the_results_say_and_decides_nothing(tmp_path):
    """Other words, and sets that are called few, or not, whatever their numbers are."""
    content = findings(tmp_path / "sweep", parts={"scale": 0.04}, foreign=2, images=12, labels=("worst",))
    assert not section_of(content, tmp_path, "details").text.count("elsewise")
    content = findings(tmp_path / "another", parts={"scale": 0.04}, foreign=2, labels=("worst",))
    tree = plain(content.results)
    for domain in ("ood", "ood.elsewhere"):
        tree["comparisons"]["nll_entropy"][domain]["sharpness"] = "elsewise"
    for key, few in (("in_domain", True), ("ood.elsewhere", False), ("ood.beyond", True)):
        tree["data"][key] |= {"few_images": few, "few_kde_images": few}
    content = dataclasses.replace(content, results=typed(tree))
    assert words(section_of(content, tmp_path, "details")).count("is due to elsewise predictions") == 2
    limits = words(section_of(content, tmp_path, "limits"))
    assert "images in domain: the interval" in limits and "images out of domain (beyond): the interval" in limits
    assert "(elsewhere): the interval" not in limits and "KDE prior out of domain (elsewhere)" not in limits
    assert "KDE prior out of domain (beyond) is built from" in limits
    assert words(section_of(content, tmp_path, "arms")).count("too few for IG over it to be comparable") == 2


def test_the_primary_outcomes_arm_is_always_among_the_pictures(told, tmp_path):
    """Of seven arms the first two, a middle one and the last have pictures; lambda 1 would not be among them."""
    told(lambdas=(0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), seeds=2)
    shown = section(RunFolder(tmp_path).report, "foreign").pictures
    arms = [re.search(r"Parts of the IG difference of (\S+) to", picture["alt"]) for picture in shown]
    assert [arm[1] for arm in arms if arm] == [f"nll_entropy_lambda{value}" for value in ("0.01", "0.03", "1", "10")]
    assert any("Mean density of nll_entropy_lambda1 over" in picture["alt"] for picture in shown)
    predicted = section(RunFolder(tmp_path).report, "predictions")
    assert any("predicted by nll_entropy_lambda1 for" in picture["alt"] for picture in predicted.pictures)


def test_a_metric_of_any_domain_is_in_the_glossary(tmp_path):
    content = findings(tmp_path / "sweep", labels=("worst",))
    for arm in content.results.arms.values():
        del arm.domains["ood.elsewhere"].metrics["gold_ig_bits_per_fixation"]
    units = section_of(content, tmp_path, "units").text
    assert "gold standard's IG" in units and "oracle's IG" not in units


def test_where_nothing_falls_nothing_is_said_to_fall(told):
    assert "Information gain as trained" not in words(told(gain=0.1)[0])
    assert "Information gain as trained" not in words(told(gain=-0.1)[0])


def test_the_primary_outcome_is_said(told):
    answer, _ = told(foreign=2, primary="ood.beyond", lambdas=(0.0, 0.1, 1.0))
    assert (
        "The primary outcome was named before the runs were trained: nll_entropy_lambda1 against its baseline, IG "
        "over the Gaussian prior, out of domain (beyond). It is tested alone at 5 %"
    ) in words(answer)
    assert words(answer).startswith(
        "The answer in full Out of domain (beyond) the information gain of the regularised arm nll_entropy_lambda1 "
    )


def test_where_nothing_was_named_beforehand_it_is_said_why(told):
    answer, _ = told(primary=None)
    assert f"All comparisons are exploratory: {TOO_LATE}." in words(answer)
    assert words(answer).count("(exploratory)") == 2 and "primary outcome" not in answer.text


def test_a_primary_outcome_of_another_metric_is_the_first_sentence(told):
    answer, results = told(gain=0.1, falling=("sauc",), foreign=2, metric="sauc")
    said = words(answer)
    assert said.startswith(
        "The answer in full Out of domain, mean of 2 sets the shuffled AUC of the regularised arm "
        "nll_entropy differs from that of the baseline nll by −0."
    )
    first, second = said.split(" seeds): ")[1:3]
    assert first.startswith("worse. Out of domain, mean of 2 sets information gain differs by +0.")
    assert second.startswith("better (exploratory).")
    assert "nll_entropy against its baseline, shuffled AUC, out of domain, mean of 2 sets." in said
    assert "comparison.ood.sauc_difference.p_holm" in dict(answer.numbers)


def test_one_planned_set_is_called_the_primary_outcome_in_its_table(told, tmp_path):
    told(lambdas=(0.0, 0.1, 1.0), gain=0.02)
    rows = re.findall(r"<tr>.*?</tr>", section(RunFolder(tmp_path).report, "comparisons").source, re.S)
    assert [("primary outcome" in row, "exploratory" in row) for row in rows if "nll_entropy" in row] == [
        (False, True),
        (False, True),
        (False, True),
        (True, False),  # in domain, then on the set: lambda 0.1 and 1
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"primary": "in_domain", "foreign": 2, "added": 2},
        {"primary": "in_domain", "foreign": 1, "added": 1},
        {"foreign": 2, "added": 1},
    ],
    ids=str,
)
def test_sets_that_were_not_planned_are_told_too(told, settings):
    answer, results = told(**settings)
    for key in (key for key in results["data"] if key != "in_domain"):
        assert f"comparison.{key}.ig_difference_bits.mean" in dict(answer.numbers)
    assert "mean of" not in answer.text


def test_one_image_with_several_seeds_claims_nothing(told):
    answer, _ = told(images=1, seeds=3, foreign=0, primary="in_domain")
    said = words(answer)
    assert "bit/fixation (one image, no interval)." in said and "There are too few data for a test; every other" in said
    assert "n/a" not in said and "would halve" not in said and "at 5 %" not in said


def test_a_set_that_was_not_planned_is_named(told):
    answer, results = told(foreign=2, added=1)
    assert results["primary"]["added"] == ["beyond"]
    assert "Evaluated although not planned: beyond. This is not in the mean over the foreign sets." in words(answer)
    assert "Evaluated although" not in told(foreign=2)[0].text


def test_images_that_were_trained_on_are_named(told):
    answer, _ = told(seen={"1.jpg": "7.jpg", "2.jpg": "8.jpg"})
    assert (
        "Left out of elsewhere, since the models were trained on 2 images that are the same, or nearly: 1.jpg (as "
        "7.jpg), 2.jpg (as 8.jpg)."
    ) in words(answer)
    answer, _ = told(foreign=0, seen={"1.jpg": "7.jpg"})
    assert (
        "Left out in domain, since the models were trained on 1 image that is the same, or nearly: 1.jpg (as 7.jpg)."
    ) in words(answer)
    assert "Left out" not in told()[0].text


def test_what_became_of_the_fixations_is_said_of_every_set(tmp_path):
    """Of 24 images in domain, 24 * 2100 were read."""
    content = findings(tmp_path / "sweep", accepted=("outside", "samples"), labels=("worst",))
    said = words(section_of(content, tmp_path, "repeat"))
    for domain, n in (("made_up", 24), ("elsewhere", 27)):
        read, first, outside, used = (f"{k * n:,}".replace(",", " ") for k in (2100, 290, 10, 1800))
        dropped = f"{first} first of a trial, {outside} outside the image"
        assert f"{domain}{read}{dropped}{used}outside, samples" in said  # in cells of one row
    limits = words(section_of(content, tmp_path, "limits"))
    assert limits.count("look implausible and were accepted as they are: outside, samples") == 2


def test_nothing_is_said_to_be_accepted_where_nothing_was_and_counts_may_be_unknown(tmp_path):
    content = findings(tmp_path / "sweep", labels=("worst",))
    assert "implausible" not in words(section_of(content, tmp_path, "limits"))
    tree = plain(content.results)
    tree["data"]["in_domain"].pop("rows")
    content = dataclasses.replace(content, results=typed(tree))
    assert "made_upn/a (not recorded)" in words(section_of(content, tmp_path, "repeat"))


def test_a_set_without_a_ladder_says_why(written):
    shown = section(written("few images")[0], "foreign")
    assert (
        "The difference is not split into parts: 15 images are too few to adapt a model to the set (at least 20)."
        in words(shown)
    )
    assert "Parts of the IG difference" not in shown.text
    shown = section(written("two arms")[0], "foreign")
    assert "not split into parts" not in shown.text and "Parts of the IG difference" in shown.text


@pytest.mark.parametrize("name, several", [("two arms", False), ("two foreign sets", True)])
def test_the_mean_over_foreign_sets_has_a_column_where_there_are_several(written, name, several):
    path, results = written(name)
    keys = {key for key, _ in section(path, "arms").numbers}
    assert ("arms.nll.ood.ig_bits_per_fixation.mean" in keys) is several
    assert "arms.nll.ood.elsewhere.ig_bits_per_fixation.mean" in keys
    assert ("IG foreign mean" in section(path, "arms").text) is several


def test_what_more_seeds_would_buy_is_said(told):
    answer, results = told(seed_std=0.1)
    seeds = results["comparison"]["ood"]["ig_difference_bits"]["seeds_to_halve"]
    assert seeds > 4 and f"{seeds} seeds would halve the interval." in words(answer)
    answer, results = told(seed_std=0.0, seeds=8)
    assert results["comparison"]["ood"]["ig_difference_bits"]["seeds_to_halve"] is None
    assert "No number of seeds would halve the interval, since it comes from the images." in words(answer)


def test_one_training_each_is_called_neither_better_nor_worse(written):
    path, results = written("one training each")
    assert results["comparison"]["ood"]["ig_difference_bits"]["mean"] > 0.2
    answer, shown = section(path, "answer"), section(path, "details")
    assert "cannot tell nll_entropy and nll apart." in words(answer) and "but not other trainings." in words(answer)
    assert (
        "A single training of each arm cannot show a difference, because two trainings of the same arm differ as well:"
        in words(answer)
    )
    assert words(shown).startswith("The answer in full These trained models differ by +0.2")
    assert "with other images like these" in words(shown)
    # what the words would mean stands there, and the page's question; nothing else holds them
    said = words(answer) + words(shown).partition("An arm is called better or worse")[0]
    assert not re.search(r"\b(better|worse)\b", said, re.I)
    assert not re.search(r'class="(better|worse)">(better|worse)', path.read_text())
    assert "no verdict" in section(path, "comparisons").text
    assert not re.search(
        r"\b(better|worse)\b",
        re.sub("<.*?>", "", "".join(re.findall("<tbody>.*?</tbody>", path.read_text(), re.S))).replace("is better", ""),
    )


def test_a_sweep_is_answered_by_all_its_arms_not_the_first_alone(written):
    path, results = written("lambda sweep")
    keys = dict(section(path, "details").numbers).keys()
    domains = ("in_domain", "ood", "ood.elsewhere", "ood.beyond")
    assert keys >= {f"comparisons.{arm}.{d}.ig_difference_bits.mean" for arm in results["comparisons"] for d in domains}


def test_one_arm_is_compared_with_nothing(written):
    path, _ = written("one arm, one training, in domain")
    text = Page(path.read_text()).text
    assert "Nothing is compared, since there is no baseline among the arms: nll_entropy." in words(
        section(path, "answer")
    )
    assert "All comparisons" not in text and "what a difference is made of" not in text


def test_lambda_sweep_is_exploratory_with_curves_categories_and_corrected_p(written):
    path, results = written("lambda sweep")
    shown = Page(path.read_text())
    assert "Exploratory" in shown.text and "unfinished" in shown.text and "inside" in shown.text
    # in domain, the mean out of domain, both sets, and the bias map's entropy
    assert sum("against lambda" in picture["alt"] for picture in shown.pictures) == 5
    keys = {key for key, _ in shown.numbers}
    for arm in results["comparisons"]:
        for domain in ("in_domain", "ood", "ood.elsewhere", "ood.beyond"):
            assert f"comparisons.{arm}.{domain}.ig_difference_bits.p_holm" in keys
        for domain in ("in_domain", "ood.elsewhere"):
            assert f"arms.{arm}.{domain}.by_category.Social.1.mean" in keys


def test_every_part_of_every_arm_stands_in_a_table_and_a_picture(written):
    path, results = written("two foreign sets")
    shown = section(path, "foreign")
    keys = {key for key, _ in shown.numbers}
    for name in ("elsewhere", "beyond"):
        for arm in results["comparisons"]:
            cell = f"comparisons.{arm}.ood.{name}"
            assert keys >= {f"{cell}.ladder.{part}.mean" for part in ("scale", "spread", "centre_bias", "rest")}
            assert keys >= {f"{cell}.{metric}_difference.ci95.0" for metric in ("auc", "sauc", "nss")}
        for arm in results["arms"]:
            ladder = f"arms.{arm}.ood.{name}.ladder"
            assert keys >= {f"{ladder}.ig_bits_by_adapted.none", f"{ladder}.scale", f"{ladder}.sigma_factor"}
            assert f"arms.{arm}.ood.{name}.mean_density_kl_bits" in keys
    alts = [picture["alt"] for picture in shown.pictures]
    assert sum(alt.startswith("Parts of the IG difference of nll_entropy_lambda1 ") for alt in alts) == 2
    assert sum(alt.startswith("Mean density of fixations over the images") for alt in alts) == 2


def test_commands_and_commits_of_the_runs_are_told(written):
    text = Page(written("two arms")[0].read_text()).text
    assert "python train.py loss.lambda_entropy=1 seed=1" in text
    assert "git checkout fedcba9876543210" in text and "fedcba9876 with uncommitted changes" in text


def test_what_comes_from_files_is_text_not_markup(tmp_path):
    evil = "<script>alert(1)</script>$x"
    content = findings(tmp_path / "sweep", seen={evil: evil}, images=12)
    tree = plain(content.results)
    tree["study"] = tree["data"]["ood.elsewhere"]["name"] = evil
    tree["data"]["ood.elsewhere"]["without_ladder"] = evil
    content.provenance["processor"] = tree["left_out"][0]["run"] = evil
    content = dataclasses.replace(content, results=typed(tree))
    page.write(RunFolder(tmp_path), content)
    shown = Page(RunFolder(tmp_path).report.read_text())
    assert "script" not in shown.tags and shown.text.count(evil) >= 8


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.painted
@pytest.mark.parametrize("name", PAINTING)
def test_browser_shows_it_without_complaint_and_cuts_nothing_off(written, tmp_path, name):
    path = written(name)[0]
    assert not console(path, tmp_path)[1]
    pictures = len(Page(path.read_text()).pictures)
    measured = {width_px: laid_out(path, width_px, tmp_path) for width_px in (390, 1400, 1920)}
    for width_px, seen in measured.items():
        assert seen["width"] <= seen["inner"] <= width_px and seen["outside"] == [], width_px
        assert seen["images"] == pictures and seen["empty"] == 0
        # a table that is wider than its box is scrolled in it, and its first column stays in sight
        assert seen["boxes"] > 5 and seen["unheld"] == [], width_px
        assert seen["cut"] == [], width_px
        # the answer is what the first screen shows
        assert width_px < 1400 or seen["answer"] < 900
    # on a phone the arms stand one under the other
    phone, screen = (measured[width_px]["arms"] for width_px in (390, 1400))
    assert len({left for left, _ in phone}) == 1 and len({top for _, top in phone}) == len(phone)
    assert len({left for left, _ in screen}) == len(screen) and len({top for _, top in screen}) == 1


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.painted
def test_browser_that_is_dark_shows_dark_pictures(written, tmp_path):
    path = written("two arms")[0]
    light, dark = (laid_out(path, 1400, tmp_path, dark=dark)["corner"] for dark in (False, True))
    assert min(light[:3]) == 255 and max(dark[:3]) < 64


def test_the_settings_and_the_counts_of_images_are_told(tmp_path):
    content = findings(tmp_path / "sweep", labels=("worst",), lambdas=(0.0, 0.1, 1.0), synthetic=("elsewhere",))
    said = words(section_of(content, tmp_path, "settings"))
    assert "model.backbone.weightsIMAGENET1K_V1" in said  # once for all arms
    assert "loss.lambda_entropy–0.11.0" in said  # each its own, and none for the baseline
    repeat = words(section(RunFolder(tmp_path).report, "repeat"))
    assert "made_up2422240216024yes" in repeat and "elsewhere27222700027no, synthetic" in repeat


def test_other_models_stand_beside_the_arms_and_in_no_verdict(tmp_path):
    content = findings(tmp_path / "sweep", labels=("worst",))
    metrics = content.results.arms["nll"].domains["ood.elsewhere"].metrics
    other = OtherModel("maps.hdf5", ["saliency map"], {"ood.elsewhere": {"nss": metrics["nss"]}})
    content = dataclasses.replace(content, results=dataclasses.replace(content.results, others={"sam": other}))
    shown = section_of(content, tmp_path, "arms")
    assert ("others.sam.domains.ood.elsewhere.nss.mean", metrics["nss"].mean) in shown.numbers
    assert words(shown).count("sam (other)") == 1 and "sam is another model" in words(shown)
    assert "sam" not in words(section(RunFolder(tmp_path).report, "answer"))
    assert_numbers_are_the_results(Page(RunFolder(tmp_path).report.read_text()), plain(content.results))
    assert typed(json.loads(json.dumps(plain(content.results)))).others == {"sam": other}
