"""Features of judged images are computed as in the trainings where these agree, whatever this machine would choose."""

from __future__ import annotations

import pytest

from entreg.config import Config, Data, Hardware
from entreg.losses import nll
from entreg.run.folder import RunFolder
from entreg.study import arithmetic
from entreg.study.arithmetic import settle
from entreg.study.finished import Run

HERE = "bfloat16", "direct"  # what this machine would choose
THERE = "float32", "winograd"


@pytest.fixture(autouse=True)
def of_this_machine(monkeypatch):
    def precision_of(hardware, kind):
        return getattr(arithmetic.torch, HERE[0] if hardware.precision == "auto" else hardware.precision)

    def convolution_of(hardware, kind, precision, stored):
        if hardware.convolution == "winograd" and kind == "cuda":
            raise arithmetic.SettingError("not on a GPU")
        return HERE[1] if hardware.convolution == "auto" else hardware.convolution

    monkeypatch.setattr(arithmetic, "precision_of", precision_of)
    monkeypatch.setattr(arithmetic, "convolution_of", convolution_of)


@pytest.fixture
def runs(tmp_path):
    """runs(way, ...): a run for each, that recorded it; None: a run that recorded nothing of the kind."""

    def make(*ways: tuple[str, str] | None) -> list[Run]:
        made = []
        for number, way in enumerate(ways):
            folder = RunFolder(tmp_path / str(number))
            folder.add_start({"features": {"backbone_precision": "torch.int8", "convolution": "another"}})
            features = {"backbone_precision": f"torch.{way[0]}", "convolution": way[1]} if way else None
            folder.add_start({"features": features} if features else {})
            hardware = Hardware(precision="auto")
            made.append(Run(folder, Config(data=Data(name="a"), loss=nll.Settings(), hardware=hardware), {}))
        return made

    return make


def ways(runs: list[Run]) -> list[tuple[str, str]]:
    return [(run.config.hardware.precision, run.config.hardware.convolution) for run in runs]


def test_what_the_trainings_agree_in_is_done_here_too(runs):
    found = runs(THERE, THERE)
    assert settle(found, "cpu", []) == "float32 products, winograd convolution, as in the trainings"
    assert ways(found) == [THERE, THERE]


@pytest.mark.parametrize(
    "recorded, kind, why",
    [
        ((THERE, HERE), "cpu", "the trainings did it in different ways"),
        ((THERE, None), "cpu", "the trainings did it in different ways"),
        ((None, None), "cpu", "the trainings do not tell how they did it"),
        ((THERE, THERE), "cuda", "it cannot do it as the trainings did (float32, winograd)"),
    ],
)
def test_else_all_is_done_as_this_machine_does_by_itself(runs, recorded, kind, why):
    found = runs(*recorded)
    assert settle(found, kind, []) == (f"bfloat16 products, direct convolution, as this machine does by itself: {why}")
    assert ways(found) == [HERE, HERE]


def test_what_was_typed_counts_above_all(runs):
    found = runs(THERE, THERE)
    for run in found:
        run.config.hardware.precision = "float16"
    assert settle(found, "cpu", ["runs", "hardware.precision"]) == "float16 products, direct convolution, as typed"
    assert ways(found) == [("float16", "direct")] * 2
