"""Runs are judged by the arithmetic of their trainings where these agree, whatever this machine would choose."""

from __future__ import annotations

import pytest

from entreg.config import Backbone, Config, Data, Hardware, Model
from entreg.losses import nll
from entreg.runs.folder import RunFolder
from entreg.study import feature_precision
from entreg.study.feature_precision import choose
from entreg.study.finished_run import FinishedRun

# backbone, convolution, readout
HERE = "bfloat16", "direct", "bfloat16"  # what this machine would choose
THERE = "float32", "winograd", "float32"
SLOW = "float32", "winograd", "float16"


@pytest.fixture(autouse=True)
def of_this_machine(monkeypatch):
    def precision_of(settings, kind):
        return getattr(feature_precision.torch, HERE[0] if settings.precision == "auto" else settings.precision)

    def convolution_of(hardware, kind, precision, stored):
        if hardware.convolution == "winograd" and kind == "cuda":
            raise feature_precision.SettingError("not on a GPU")
        return HERE[1] if hardware.convolution == "auto" else hardware.convolution

    monkeypatch.setattr(feature_precision, "precision_of", precision_of)
    monkeypatch.setattr(feature_precision, "backbone_precision_of", precision_of)
    monkeypatch.setattr(feature_precision, "convolution_of", convolution_of)


@pytest.fixture
def runs(tmp_path):
    """runs(way, ...): a run for each, that recorded it; None: a run that recorded nothing of the kind."""

    def make(*ways: tuple[str, str, str] | None) -> list[FinishedRun]:
        made = []
        for number, way in enumerate(ways):
            folder = RunFolder(tmp_path / str(number))
            folder.add_start({"features": {"backbone_precision": "torch.int8", "convolution": "another"}})
            features = {"backbone_precision": f"torch.{way[0]}", "convolution": way[1]} if way else None
            folder.add_start({"features": features, "precision": f"torch.{way[2]}"} if way else {})
            model, hardware = Model(backbone=Backbone(precision="auto")), Hardware(precision="auto")
            config = Config(data=Data(name="a"), model=model, loss=nll.Settings(), hardware=hardware)
            made.append(FinishedRun(folder, config, {}))
        return made

    return make


def ways(runs: list[FinishedRun]) -> list[tuple[str, str, str]]:
    return [
        (run.config.model.backbone.precision, run.config.hardware.convolution, run.config.hardware.precision)
        for run in runs
    ]


def test_what_the_trainings_agree_in_is_done_here_too(runs):
    found = runs(THERE, THERE)
    assert choose(found, "cpu", []) == "float32 products, winograd convolution, float32 readout: as in the trainings"
    assert ways(found) == [THERE, THERE]


def test_arms_whose_backbones_were_given_other_precisions_are_each_judged_in_theirs(runs):
    found = runs(THERE, HERE, THERE)
    for run, way in zip(found, (THERE, HERE, THERE), strict=True):
        run.config.model.backbone.precision = way[0]
    said = choose(found, "cpu", [])
    assert said == (
        "float32 products, winograd convolution, float32 readout: as in the trainings; "
        "bfloat16 products, direct convolution, bfloat16 readout: as in the trainings"
    )
    assert ways(found) == [THERE, HERE, THERE]


def test_arms_whose_readouts_or_convolutions_were_given_others_are_each_judged_in_theirs(runs):
    direct = "float32", "direct", "float32"
    found = runs(THERE, SLOW, direct)
    for run, way in zip(found, (THERE, SLOW, direct), strict=True):
        run.config.hardware.convolution, run.config.hardware.precision = way[1:]
    choose(found, "cpu", [])
    assert ways(found) == [THERE, SLOW, direct]


def test_the_readouts_precision_is_that_of_the_trainings_too(runs):
    """Trainings that were begun before it was recorded computed the readout in the backbone's precision."""
    found = runs(SLOW, SLOW)
    choose(found, "cpu", [])
    assert ways(found) == [SLOW, SLOW]
    old = runs(THERE)
    old[0].folder.add_start({"features": {"backbone_precision": "torch.float16", "convolution": "direct"}})
    choose(old, "cpu", [])
    assert ways(old) == [("float16", "direct", "float16")]


@pytest.mark.parametrize(
    "recorded, kind, why",
    [
        ((THERE, HERE), "cpu", "because the trainings differ"),
        ((THERE, None), "cpu", "because the trainings differ"),
        ((THERE, SLOW), "cpu", "because the trainings differ"),
        ((None, None), "cpu", "because the trainings did not record theirs"),
        ((THERE, THERE), "cuda", "which does not support the trainings' (float32, winograd, float32)"),
    ],
)
def test_otherwise_they_are_the_defaults_of_this_machine(runs, recorded, kind, why):
    found = runs(*recorded)
    way = "bfloat16 products, direct convolution, bfloat16 readout"
    assert choose(found, kind, []) == f"{way}: the defaults of this machine, {why}"
    assert ways(found) == [HERE, HERE]


def test_what_was_typed_counts_above_all_and_the_rest_stays_that_of_the_trainings(runs):
    found = runs(THERE, THERE)
    for run in found:
        run.config.model.backbone.precision = "float16"
    said = choose(found, "cpu", ["runs", "model.backbone.precision"])
    assert said == (
        "float16 products, winograd convolution, float32 readout: "
        "model.backbone.precision=float16 as typed, the rest as in the trainings"
    )
    assert ways(found) == [("float16", "winograd", "float32")] * 2


def test_where_the_readouts_precision_is_typed_stored_features_can_still_be_read(runs):
    (found,) = runs(THERE)
    found.config.hardware.precision = "bfloat16"
    assert choose([found], "cpu", ["hardware.precision"]).endswith("the rest as in the trainings")
    assert ways([found]) == [("float32", "winograd", "bfloat16")]


def test_what_was_typed_and_does_not_go_with_the_trainings_leaves_the_defaults(runs):
    (found,) = runs(THERE)
    found.config.hardware.precision = "float32"
    assert choose([found], "cuda", ["hardware.precision"]) == (
        "bfloat16 products, direct convolution, float32 readout: hardware.precision=float32 as typed, the rest the "
        "defaults of this machine, which does not support the trainings' (float32, winograd, float32) beside "
        "hardware.precision=float32"
    )


def test_where_all_was_typed_nothing_is_said_of_the_trainings(runs):
    (found,) = runs(THERE)
    typed = ["model.backbone.precision", "hardware.convolution", "hardware.precision"]
    assert choose([found], "cpu", typed) == "bfloat16 products, direct convolution, bfloat16 readout: as typed"
