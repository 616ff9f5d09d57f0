"""The script of docs/library.md trains, evaluates and exports in fifteen lines."""

from __future__ import annotations

import pytest
import torch

import entreg
from tests.conftest import ROOT, SMALL
from tests.prediction.test_trained_model import code_blocks


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's export warns of its own parts
def test_the_script_trains_evaluates_and_exports(tmp_path, monkeypatch, capsys):
    script = code_blocks(ROOT / "docs/library.md")[0]
    assert len([line for line in script.splitlines() if line]) <= 15
    (sizes,) = (line for line in script.splitlines() if line.startswith("small = "))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # which holds the store
    exec(script.replace(sizes, f"small = {[*SMALL, 'trainer.epochs=2', 'hardware=cpu']}"), {})
    assert (tmp_path / "study/evaluation/report.html").is_file()
    assert "train_nll_nats" in capsys.readouterr().out
    photos = torch.rand(1, 3, 70, 50) * 255
    exported = torch.export.load("model.pt2").module()
    expected = entreg.load("study/nll_entropy", device="cpu").module(photos)
    torch.testing.assert_close(exported(photos), expected, atol=1e-5, rtol=0)
