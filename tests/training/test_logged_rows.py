"""A logger is told each row once, over all starts of a training."""

from entreg.runs.folder import RunFolder
from entreg.training.logged_rows import LoggedRows

HISTORY = [{"epoch": 1, "lr": 0.1}, {"epoch": 2, "lr": 0.01}]
STEPS = [{"step": 0, "epoch": 1, "nll_nats": 9.0, "bias_entropy_nats": None}]


def test_each_row_is_new_once_whatever_the_checkpoint_that_a_start_goes_on_from(tmp_path):
    folder = RunFolder(tmp_path)
    first = LoggedRows(folder, "mlflow")
    assert first.run is None
    assert first.new(HISTORY[:1], STEPS) == [{"epoch": 1, "epoch/lr": 0.1}, {"step": 0, "step/nll_nats": 9.0}]
    first.remember("id", HISTORY[:1], STEPS)
    LoggedRows(folder, "wandb").remember("other", [], [])
    second = LoggedRows(folder, "mlflow")
    assert second.run == "id" and second.new([], []) == []
    second.remember("id", [], [])
    assert second.new(HISTORY, STEPS) == [{"epoch": 2, "epoch/lr": 0.01}]
