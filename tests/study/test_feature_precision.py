"""Features of judged images are computed as in the trainings where these agree, whatever this machine would choose."""

from __future__ import annotations

import pytest

from entreg.config import Config, Data, Hardware
from entreg.losses import nll
from entreg.runs.folder import RunFolder
from entreg.study import feature_precision
from entreg.study.feature_precision import choose
from entreg.study.finished_run import FinishedRun

HERE = "bfloat16", "direct"  # what this machine would choose
THERE = "float32", "winograd"


@pytest.fixture(autouse=True)
def of_this_machine(monkeypatch):
    def precision_of(hardware, kind):
        return getattr(feature_precision.torch, HERE[0] if hardware.precision == "auto" else hardware.precision)

    def convolution_of(hardware, kind, precision, stored):
        if hardware.convolution == "winograd" and kind == "cuda":
            raise feature_precision.SettingError("not on a GPU")
        return HERE[1] if hardware.convolution == "auto" else hardware.convolution

    monkeypatch.setattr(feature_precision, "precision_of", precision_of)
    monkeypatch.setattr(feature_precision, "convolution_of", convolution_of)


@pytest.fixture
def runs(tmp_path):
    """runs(way, ...): a run for each, that recorded it; None: a run that recorded nothing of the kind."""

    def make(*ways: tuple[str, str] | None) -> list[FinishedRun]:
        made = []
        for number, way in enumerate(ways):
            folder = RunFolder(tmp_path / str(number))
            folder.add_start({"features": {"backbone_precision": "torch.int8", "convolution": "another"}})
            features = {"backbone_precision": f"torch.{way[0]}", "convolution": way[1]} if way else None
            folder.add_start({"features": features} if features else {})
            hardware = Hardware(precision="auto")
            made.append(FinishedRun(folder, Config(data=Data(name="a"), loss=nll.Settings(), hardware=hardware), {}))
        return made

    return make


def ways(runs: list[FinishedRun]) -> list[tuple[str, str]]:
    return [(run.config.hardware.precision, run.config.hardware.convolution) for run in runs]


def test_what_the_trainings_agree_in_is_done_here_too(runs):
    found = runs(THERE, THERE)
    assert choose(found, "cpu", []) == "float32 products, winograd convolution, as in the trainings"
    assert ways(found) == [THERE, THERE]


@pytest.mark.parametrize(
    "recorded, kind, why",
    [
        ((THERE, HERE), "cpu", "because the trainings differ"),
        ((THERE, None), "cpu", "because the trainings differ"),
        ((None, None), "cpu", "because the trainings did not record theirs"),
        ((THERE, THERE), "cuda", "which does not support the trainings' (float32, winograd)"),
    ],
)
def test_otherwise_they_are_the_defaults_of_this_machine(runs, recorded, kind, why):
    found = runs(*recorded)
    assert choose(found, kind, []) == (f"bfloat16 products, direct convolution, the defaults of this machine, {why}")
    assert ways(found) == [HERE, HERE]


def test_what_was_typed_counts_above_all(runs):
    found = runs(THERE, THERE)
    for run in found:
        run.config.hardware.precision = "float16"
    assert choose(found, "cpu", ["runs", "hardware.precision"]) == "float16 products, direct convolution, as typed"
    assert ways(found) == [("float16", "direct")] * 2
