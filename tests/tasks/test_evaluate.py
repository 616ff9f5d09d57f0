"""An evaluation of finished runs: what it writes, says and returns, and what it does not judge."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import UserError
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.model.step_library import TORCH, available, description
from entreg.runs.folder import RunFolder, State
from entreg.tasks.evaluate import evaluate
from tests.conftest import ROOT
from tests.evaluation.photos import name_of, trained, words, write_sets


@pytest.fixture(scope="module")
def cache() -> EvaluationCache:
    return EvaluationCache(Ranks())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    write_sets(folder)
    return folder


@pytest.fixture
def study(composed, store, place, cache, tmp_path):
    """study(*losses, seeds=...): a sweep of finished runs."""
    before = torch.get_num_threads()

    def sweep(*losses: str, seeds: tuple[int, ...] = (0, 1)) -> Path:
        jobs = [(loss, seed) for loss in losses for seed in seeds]
        for number, (loss, seed) in enumerate(jobs):
            config = resolved(composed(*words(place, store), f"loss={loss}", f"seed={seed}", "study=s"))
            trained(tmp_path / f"sweep/{number}", config, cache, weights=number)
        return tmp_path / "sweep"

    yield sweep
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def judged(composed, tmp_path):
    """judged(sweep): what an evaluation of it returns, and its folder; figures are not painted, which takes seconds."""

    def run(sweep: Path, *more: str) -> tuple[float | None, RunFolder]:
        folder = RunFolder(tmp_path / "evaluation")
        words = "task=evaluate", f"runs={sweep}", "hardware=cpu", "hardware.threads=1", "study=e"
        config = resolved(composed(*words, *more))
        return evaluate(config, folder), folder

    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_everything_that_is_found_lies_in_a_folder_of_its_own(study, judged, capsys):
    sweep = study("nll", "nll_entropy")
    returned, folder = judged(sweep)
    assert folder.state is State.FINISHED
    results = json.loads(folder.results.read_text())
    assert returned == results["comparison"]["ood"]["ig_difference_bits"]["mean"]
    assert results["primary"]["arm"] == "nll_entropy" and results["primary"]["planned"] == ["foreign"]
    # the images that were trained on are in no table
    assert results["data"]["ood.foreign"]["seen"].keys() == {name_of(103), name_of(110)}
    table = rows(folder.per_image)
    assert len(table) == 4 * (2 + 20) and name_of(103) not in {row["image"] for row in table}
    means = {
        arm: np.mean([float(row["nss"]) for row in table if (row["arm"], row["domain"]) == (arm, "ood.foreign")])
        for arm in ("nll", "nll_entropy")
    }
    assert results["arms"]["nll"]["ood"]["nss"]["mean"] == pytest.approx(means["nll"])
    assert results["comparison"]["ood"]["nss_difference"]["mean"] == pytest.approx(means["nll_entropy"] - means["nll"])
    assert len(rows(folder.arms)) > 50 and len(rows(folder.comparisons)) > 30
    with np.load(folder.bias_maps) as maps:
        assert sorted(maps) == ["nll", "nll_entropy"] and np.exp(maps["nll"]).sum() == pytest.approx(1, abs=1e-4)
    assert "nll_entropy" in folder.report.read_text()
    (start,) = folder.starts()
    assert start["step_version"] == description([*available(), TORCH][0])
    assert start["seeds"] == {"folds": 0} and start["fingerprints"].keys() >= {"data", "weights", "features"}
    assert folder.read_config()["task"]["name"] == "evaluate"
    recompute = [sys.executable, str(ROOT / "docs/recompute.py"), str(folder)]
    done = subprocess.run(recompute, capture_output=True, text=True)
    kinds = ["IG, gaussian", "IG, kde", "NSS", "AUC", "entropies", "differences", "intervals"]
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == kinds and done.returncode == 0, done
    code = (ROOT / "docs/recompute.py").read_text()
    assert len([line for line in code.splitlines() if line.strip() and '"""' not in line]) <= 61
    assert not re.findall(r"^(?:from|import) (?!csv|json|sys|itertools|pathlib|numpy)", code, re.MULTILINE)
    text = folder.per_image.read_text().splitlines()
    folder.per_image.write_text("\n".join([*text[:-1], text[-1].replace("0.", "1.", 1)]))
    assert subprocess.run(recompute, capture_output=True).returncode == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(folder) and any("paired by seed" in text for text in said)


@pytest.mark.parametrize(
    "without, compared", [((3, 4), {"differences", "intervals"}), ((2, 3, 4, 5), {"differences"})], ids=["two", "none"]
)
def test_arms_that_share_some_of_their_seeds_are_computed_again(study, judged, without, compared):
    """Of four seeds each, runs 0 to 7: by two that both have they are paired, and else they are not."""
    sweep = study("nll", "nll_entropy", seeds=(0, 1, 2, 3))
    for number in without:
        shutil.rmtree(sweep / str(number))
    _, folder = judged(sweep)
    recompute = [sys.executable, str(ROOT / "docs/recompute.py"), str(folder)]
    done = subprocess.run(recompute, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert {line.split(":")[0] for line in done.stdout.splitlines()} & {"differences", "intervals"} == compared


def test_a_run_that_is_not_finished_is_named_and_in_no_number(study, judged, caplog):
    sweep = study("nll", "nll_entropy", seeds=(0,))
    unfinished = RunFolder(sweep / "7")
    unfinished.config.parent.mkdir(parents=True)
    unfinished.config.write_text("task: {name: train}")
    unfinished.failure.write_text("out of memory")
    _, folder = judged(sweep)
    results = json.loads(folder.results.read_text())
    said = {"state": "failed: out of memory", "failure": "out of memory"}
    assert results["left_out"] == [{"run": str(unfinished)} | said]
    assert f"left out, not finished: {unfinished} (failed: out of memory)" in caplog.text
    assert {row["run"] for row in rows(folder.per_image)} == {f"{sweep}/0", f"{sweep}/1"}
    assert results["comparison"]["seeds"] == "one training"


def test_why_all_is_exploratory_is_said_at_once(study, judged, caplog):
    sweep = study("nll", "nll_entropy", seeds=(0,))
    RunFolder(sweep / "0").plan.unlink()
    _, folder = judged(sweep)
    why = "1 of 2 runs do not record a primary outcome"
    assert f"all comparisons are exploratory: {why}" in caplog.text
    assert json.loads(folder.results.read_text())["primary"]["why"] == why


def test_a_picture_that_changed_is_judged_where_that_is_accepted_and_then_nothing_counts_as_planned(
    study, judged, place
):
    sweep = study("nll", "nll_entropy", seeds=(0,))
    picture = place / "foreign/stimuli" / name_of(105)
    before = picture.read_bytes()
    try:
        picture.write_bytes(before + b"\0")
        _, folder = judged(sweep, "evaluation.accept=[images]")
    finally:
        picture.write_bytes(before)
    results, what = json.loads(folder.results.read_text()), "1 of 22 images has other content (105.jpg)"
    assert results["data"]["ood.foreign"]["identity"]["changed"] == [what]
    assert results["primary"]["arm"] is None and what in results["primary"]["why"]
    assert all(row["exploratory"] for row in results["comparison"]["ood"].values() if "exploratory" in (row or ()))
    assert f"<code>evaluation.accept</code>): {what}." in folder.report.read_text()


def test_one_arm_is_judged_and_compared_with_nothing(study, judged, caplog):
    returned, folder = judged(study("nll_entropy", seeds=(0,)))
    assert returned is None and json.loads(folder.results.read_text())["comparison"] == {}
    assert "no baseline (loss=nll or lambda 0) among the runs: nothing is compared" in caplog.text


def test_runs_whose_data_changed_are_refused_without_results(study, judged, place):
    sweep = study("nll", seeds=(0,))
    tree = OmegaConf.load(RunFolder(sweep / "0").config)
    tree.data.limit = 11
    OmegaConf.save(tree, RunFolder(sweep / "0").config)
    with pytest.raises(
        UserError, match=r"has changed since the training: 1 of 12 images is missing \(011.jpg\); bring"
    ):
        judged(sweep)
    assert not RunFolder(sweep.parent / "evaluation").results.exists()
