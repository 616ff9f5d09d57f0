"""The notebook runs from top to bottom, and its cells show a verdict."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs/notebooks/first_study.ipynb"


def test_it_is_kept_without_what_a_machine_has_shown():
    nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[docs]'")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all(cell.execution_count is None and not cell.outputs for cell in cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what Jupyter's own packages warn of
def test_it_comes_to_a_verdict(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[docs]'")
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shutil.copy(NOTEBOOK, tmp_path)
    notebook = nbformat.read(tmp_path / NOTEBOOK.name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "The regularised arm against the baseline, in domain: " in shown
    assert (tmp_path / "study/evaluation/report.html").is_file()
