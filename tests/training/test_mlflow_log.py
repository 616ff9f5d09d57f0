"""What MLflow's own client reads of a run that was begun twice."""

from __future__ import annotations

import pytest
from PIL import Image

from entreg.config.settings import resolved
from entreg.runs.folder import RunFolder

pytest.importorskip("mlflow", reason="pip install mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # what MLflow warns of

HISTORY = [{"epoch": 1, "lr": 0.1}, {"epoch": 2, "lr": 0.01}]
STEPS = [{"step": number, "epoch": 1, "nll_nats": 9.0 - number} for number in range(120)]


def test_a_training_that_goes_on_reports_to_the_same_run(composed, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    from entreg.training.mlflow_log import MlflowRun

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    config = resolved(composed("logger=mlflow", f"loggers.mlflow.uri={tmp_path / 'store'}", "study=s", "seed=3"))
    Image.new("RGB", (6, 4)).save(tmp_path / "map.png")
    for epochs in (1, 2):
        run = MlflowRun(RunFolder(tmp_path / "run"), config)
        run.tell(HISTORY[:epochs], STEPS[: 60 * epochs])
    run.finish({"bias_map": tmp_path / "map.png"})
    client = MlflowClient(tracking_uri=(tmp_path / "store").as_uri())
    experiment = client.get_experiment_by_name("entreg")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED" and found.info.run_name == "s/run" and found.data.params["seed"] == "3"
    values = {
        key: [(one.step, one.value) for one in client.get_metric_history(found.info.run_id, key)]
        for key in ("epoch/lr", "step/nll_nats")
    }
    assert values["epoch/lr"] == [(1, 0.1), (2, 0.01)]
    assert sorted(values["step/nll_nats"]) == [(row["step"], row["nll_nats"]) for row in STEPS]
    assert [file.path for file in client.list_artifacts(found.info.run_id, "figures")] == ["figures/map.png"]
