"""What Weights & Biases writes offline of a run that was begun twice."""

from __future__ import annotations

import pytest
from PIL import Image

from entreg.config.settings import resolved
from entreg.runs.folder import RunFolder

pytest.importorskip("wandb", reason="pip install wandb")
pytestmark = pytest.mark.filterwarnings("ignore")  # what its packages warn of

HISTORY = [{"epoch": 1, "lr": 71.03125}, {"epoch": 2, "lr": 93.84375}]
STEPS = [{"step": 0, "epoch": 1, "nll_nats": 9.0, "bias_entropy_nats": None}]


def test_a_training_that_goes_on_reports_to_the_same_run(composed, tmp_path):
    import wandb

    from entreg.training.wandb_log import WandbRun

    config = resolved(composed("logger=wandb", "study=s", "seed=3"))
    Image.new("RGB", (6, 4)).save(tmp_path / "map.png")
    folder = RunFolder(tmp_path / "run")
    for epochs in (1, 2):
        run = WandbRun(folder, config)
        run.tell(HISTORY[:epochs], STEPS)
        assert run._run.config["seed"] == 3 and run._run.name == "s/run"
        run.finish({"bias_map": tmp_path / "map.png"} if epochs == 2 else {})
    wandb.teardown()  # finish() returns before the other process has written all, which waits for this one's end
    files = sorted((folder.path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({file.name for file in files}) == 1 and len({file.parent for file in files}) == 2
    first, second = (file.read_bytes() for file in files)
    # a row is text in the file: each is in the start that it was told in, and in no other. The numbers are such that no
    # time or setting, which stand there, too, is one of them
    assert b"71.03125" in first and b"step/nll_nats" in first and b"93.84375" not in first
    assert b"93.84375" in second and b"71.03125" not in second and b"bias_map" in second
