"""A published model beside trained arms: fixed, and what it was trained on is seen. Its file holds random numbers."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from entreg.config.settings import check, resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import SettingError, UserError
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.published_arm import arm_of, stimuli
from entreg.evaluation.statistics import crossed_unpaired, over_images
from entreg.runs.folder import RunFolder
from entreg.tasks.evaluate import evaluate
from tests.data.sources.pysaliency_set import copied
from tests.evaluation.photos import name_of, trained, words, write_sets
from tests.model import published_files

MEMBER = "IIE's DenseNet member"


@pytest.fixture(scope="module")
def weights():
    return published_files.densenet()


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("iie") / "deepgaze2e.pth"
    torch.save(published_files.iie(weights), path)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The sets, with one foreign image that is among MIT1003's stimuli."""
    folder = tmp_path_factory.mktemp("place")
    write_sets(folder)
    stimuli = folder / "data/MIT1003/ALLSTIMULI"
    stimuli.mkdir(parents=True)
    shutil.copy(folder / "foreign/stimuli" / name_of(105), stimuli / "i42.jpeg")
    return folder


@pytest.fixture
def study(composed, store, place, tmp_path):
    """study(words, data): the evaluation's folder of a sweep with two seeds of each arm, judged with these words.

    data: paths.data, under which MIT1003 is or is not
    """
    before = torch.get_num_threads()
    cache = EvaluationCache(Ranks())

    def judge(*typed: str, data: str = "data") -> RunFolder:
        for number, (loss, seed) in enumerate((loss, seed) for loss in ("nll", "nll_entropy") for seed in (0, 1)):
            config = resolved(
                composed(*words(place, store), f"paths.data={place / data}", f"loss={loss}", f"seed={seed}", "study=s")
            )
            trained(tmp_path / f"sweep/{number}", config, cache, weights=number)
        folder = RunFolder(tmp_path / "evaluation")
        runs = f"runs={tmp_path / 'sweep'}"
        evaluate(resolved(composed("task=evaluate", runs, "hardware=cpu", "hardware.threads=1", *typed)), folder)
        return folder

    yield judge
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


def test_it_is_judged_beside_the_arms(study, file):
    folder = study(f"published={file}")
    results = json.loads(folder.results.read_text())
    assert list(results["arms"]) == ["nll", "nll_entropy", MEMBER]
    with folder.per_image.open() as table:
        rows = list(csv.DictReader(table))

    def gains(arm):
        found = [r for r in rows if (r["arm"], r["domain"]) == (arm, "ood.foreign")]
        return np.array(
            [
                [float(r["ig_bits_per_fixation"]) for r in found if r["run"] == run]
                for run in dict.fromkeys(r["run"] for r in found)
            ]
        )

    # what is among MIT1003's stimuli it has seen, so nobody is judged on it
    seen = results["data"]["ood.foreign"]["seen"]
    assert seen[name_of(105)] == "MIT1003's i42.jpeg" and {name_of(103), name_of(110)} < seen.keys()
    assert gains(MEMBER).shape == (1, 19) and gains("nll").shape == (2, 19)

    # its own mean varies with the images alone, its difference also with the baseline's seeds
    own = results["arms"][MEMBER]["ood"]["ig_bits_per_fixation"]
    assert own["mean"] == pytest.approx(gains(MEMBER).mean())
    assert own["ci95"] == pytest.approx([float(end) for end in over_images(gains(MEMBER)[0]).ci95])
    assert own["seeds_part"] == 0
    cell = results["comparisons"][MEMBER]["ood"]["ig_difference_bits"]
    expected = crossed_unpaired([gains(MEMBER)], [gains("nll")])
    assert cell["mean"] == pytest.approx(float(expected.mean)) and cell["p"] == pytest.approx(float(expected.p))
    assert cell["ci95"] == pytest.approx([float(end) for end in expected.ci95])
    assert (cell["seeds"], cell["n_seeds"], cell["exploratory"]) == ("a fixed model against seeds", 2, True)
    # nor is it one more arm to correct for: the one regularised arm stays alone
    for arm in ("nll_entropy", MEMBER):
        nss = results["comparisons"][arm]["ood"]["nss_difference"]
        assert nss["p_holm"] == nss["p"]
    assert results["primary"]["arm"] == "nll_entropy" == results["comparison"]["arm"]

    said = results["arms"][MEMBER]["published"]
    assert said["components"] == 30 and said["trained_on"] == ["SALICON", "MIT1003"] and said["looked_for"]
    assert not said["is_the_published_file"]
    assert results["arms"][MEMBER]["seeds"] == [] and results["arms"]["nll"]["published"] is None
    page = folder.report.read_text()
    assert "a mixture of 30 components" in page and "trained on SALICON and MIT1003" in page
    assert "left out as well" in page and "none here: fixed" in page


@pytest.mark.slow
def test_a_mixture_has_no_ladder_where_the_trained_arms_have_one(study, file):
    folder = study(f"published={file}", data="without")
    results = json.loads(folder.results.read_text())
    assert results["data"]["ood.foreign"]["n_images"] == 20
    assert results["arms"]["nll"]["ood.foreign"]["ladder"] and results["comparisons"]["nll_entropy"]["ood"]["ladder"]
    assert results["arms"][MEMBER]["ood.foreign"]["ladder"] is None
    assert results["comparisons"][MEMBER]["ood"]["ladder"] is None
    assert (
        "stimuli are not below paths.data, so copies of them in other sets were not looked for"
        in folder.report.read_text()
    )


@pytest.mark.slow
def test_one_component_is_adapted_like_any_other_model(study, file):
    folder = study(f"published={file}", "published_component=3", data="without")
    results = json.loads(folder.results.read_text())
    arm = results["arms"][f"{MEMBER}, component 3"]
    ladder = arm["ood.foreign"]["ladder"]
    assert ladder["ig_bits_by_adapted"]["none"] == pytest.approx(arm["ood"]["ig_bits_per_fixation"]["mean"], abs=1e-4)
    generator = torch.Generator().manual_seed(7)
    for _ in range(3):
        published_files.component(generator)
    finalizer = published_files.component(generator)
    assert arm["sigma_px"] == pytest.approx(float(finalizer["finalizers.gauss.sigma"]))
    assert arm["center_bias_weight"] == pytest.approx(float(finalizer["finalizers.center_bias_weight"]))


def test_deepgaze3_is_refused(study, weights, tmp_path):
    torch.save(published_files.iii(weights), tmp_path / "deepgaze3.pth")
    with pytest.raises(UserError, match="DeepGaze III cannot be evaluated: .*selection networks need to know where"):
        study(f"published={tmp_path / 'deepgaze3.pth'}")


def test_all_of_mit1003_was_seen(composed, store, place, file):
    config = resolved(composed(*words(place, store), "data.name=mit1003"))
    names = EvaluationCache(Ranks()).seen_elsewhere(config.data, "validation", ())
    assert len(names) == 3 and set(names.values()) == {"MIT1003's own"}
    assert EvaluationCache(Ranks()).seen_elsewhere(config.ood["foreign"], "all", ()) == {}


def test_a_foreign_set_may_be_said_to_be_mit1003(composed, store, place):
    """As docs/verdict.md says; a name of its own that is another one is its key."""
    for name, said in (("mit1003", "MIT1003's own"), ("scene50", None)):
        config = resolved(composed(*words(place, store), f"ood.foreign.name={name}"))
        names = EvaluationCache(Ranks()).seen_elsewhere(config.ood["foreign"], "all", ())
        assert {*names.values()} == {said} - {None}
        again = dataclasses.replace(config)  # as it is read again from a run's folder
        assert again.ood["foreign"].name == config.ood["foreign"].name == (name if said else "foreign")


@pytest.mark.parametrize(
    "name, root, is_seen",
    [
        ("pysaliency", "MIT1003", True),
        ("pysaliency", "MIT1003_initial_fix", True),
        ("MIT1003", "mine", True),
        ("pysaliency", "mine", False),
    ],
)
def test_all_of_mit1003_was_seen_from_pysaliencys_files_too(composed, store, tmp_path, name, root, is_seen):
    copied(tmp_path / root)
    found = composed(
        "data=pysaliency",
        "ood=[]",
        f"data.root={tmp_path / root}",
        f"data.name={name}",
        "data.fixations=trains.hdf5",
        "data.folds=3",
        f"paths.store={store}",
    )
    names = EvaluationCache(Ranks()).seen_elsewhere(resolved(found).data, "all", ())
    assert names == (dict.fromkeys(["i2.png", "i10.png", "sub/i1.png"], "MIT1003's own") if is_seen else {})


def test_its_stimuli_are_found_where_pysaliency_leaves_them(composed, tmp_path):
    config = resolved(composed(f"paths.data={tmp_path}"))
    assert stimuli(config) == []
    for folder in ("MIT1003/stimuli", "MIT1003/ALLSTIMULI"):
        place = tmp_path / folder / "i1.jpeg"
        place.parent.mkdir(parents=True)
        place.touch()
        assert stimuli(config) == [place]


def test_the_arm_reads_the_studys_data_with_its_own_architecture(composed, store, place, file):
    config = resolved(composed(*words(place, store), "model.center_bias=gaussian", "loss=nll_entropy"))
    arm = arm_of(file, None, config)
    own = arm.runs[0].config
    assert (own.data, own.ood, own.prior, own.model.center_bias) == (config.data, config.ood, config.prior, "gaussian")
    assert (own.model.backbone.name, own.model.readout_factor) == ("densenet201", 16)
    assert config.model.backbone.name == "vgg19" and arm.is_fixed and not arm.is_baseline


def test_a_training_is_told_where_its_start_belongs(composed):
    with pytest.raises(
        SettingError,
        match="published=x.pth is out of range: it needs task=evaluate; model.init_from lets",
    ):
        check(composed("published=x.pth"))
    check(composed("published=x.pth", "task=evaluate"))
