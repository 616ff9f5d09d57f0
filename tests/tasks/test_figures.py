"""Figures of evaluations, from their folders alone."""

from __future__ import annotations

import csv

import pytest

from entreg.config import Config, Task
from entreg.errors import SettingError, UserError
from entreg.report import illustrations, paper_figures
from entreg.results import writing
from entreg.runs.folder import RunFolder
from entreg.tasks.figures import check, evaluations_at, figures
from tests.report.findings import findings


@pytest.fixture
def evaluation(tmp_path):
    """evaluation(name): a folder of that name that holds what figures are drawn of."""

    def make(name: str) -> RunFolder:
        content, folder = findings(tmp_path / f"sweep_{name}", labels=("worst",)), RunFolder(tmp_path / name)
        writing.write(folder.results, content.results)
        illustrations.write(folder.illustrations, content)
        return folder

    return make


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are not painted, which takes seconds."""
    monkeypatch.setattr(paper_figures.PaperFigure, "save", lambda self, file, width_mm, kind: file.write(b"drawn"))


def config(runs: object) -> Config:
    return Config(task=Task(name="figures"), runs=None if runs is None else str(runs))


@pytest.mark.usefixtures("unpainted")
def test_each_figure_is_there_in_two_widths_and_three_kinds_with_its_numbers(evaluation, tmp_path, capsys):
    folder = RunFolder(tmp_path / "drawn")
    place = evaluation("one")
    count = figures(config(place), folder)
    below = folder.arms_table.parent
    assert count == len(list(below.iterdir())) == 9 * 7 + 1 and capsys.readouterr().out == f"{below}\n"
    assert {path.name for path in below.glob("waterfall*")} == {
        "waterfall.csv",
        *(f"waterfall_{width}mm.{kind}" for width in (89, 183) for kind in ("pdf", "svg", "png")),
    }
    with folder.figure_numbers("waterfall").open() as file:
        assert [row["part"] for row in csv.DictReader(file)][-2:] == ["what is left", "difference"]
    assert r"nll\_entropy" in folder.arms_table.read_text() and folder.done.is_file()


@pytest.mark.usefixtures("unpainted")
def test_several_evaluations_are_numbered_and_stand_side_by_side(evaluation, tmp_path):
    evaluation("e1"), evaluation("e2")
    folder = RunFolder(tmp_path / "drawn")
    figures(config(tmp_path / "e[12]"), folder)
    assert folder.figure("1_waterfall", 89, "pdf").is_file() and folder.figure("2_waterfall", 89, "pdf").is_file()
    with folder.figure_numbers("side_by_side").open() as file:
        names = [row["series"].partition(",")[0] for row in csv.DictReader(file)]
    assert names == ["1_made-up", "2_made-up"]


def test_what_is_no_evaluation_is_refused_with_the_way_out(evaluation, tmp_path):
    with pytest.raises(SettingError, match="^task=figures needs the folder of an evaluation: runs=FOLDER"):
        check(config(None))
    with pytest.raises(UserError, match=r"there is no evaluation .*\n  python train.py task=evaluate runs=SWEEP"):
        evaluations_at(str(tmp_path / "nowhere"))
    place = evaluation("earlier")
    place.illustrations.unlink()
    with pytest.raises(UserError, match="earlier is an evaluation of an earlier version, .*; evaluate again"):
        evaluations_at(str(place))
