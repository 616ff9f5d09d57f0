"""An evaluation in a script is that of the command line."""

from __future__ import annotations

import shlex

import entreg
from entreg.report.commands import command_of
from entreg.runs.folder import RunFolder
from tests.library.conftest import ONE_THREAD, Study


def test_it_compares_the_runs_that_were_given(made: Study):
    assert {run for arm in made.shown.results.arms.values() for run in arm.runs} == {
        str(run.folder) for run in (made.baseline, made.regularised)
    }
    assert list(made.shown.results.comparisons) == ["nll_entropy"]
    assert made.shown.report.is_file() and made.shown.report.parent == made.shown.folder


def test_tables_are_those_of_the_folder(made: Study):
    frame, images = made.shown.to_pandas(), made.shown.per_image()
    nss = frame[(frame.arm == "nll") & (frame.domain == "in_domain") & (frame.metric == "nss")]
    of_images = images[(images.arm == "nll") & (images.domain == "in_domain")]
    assert len(of_images) > 0 and nss["mean"].item() == of_images["nss"].mean()


def test_the_page_shows_a_command_that_can_be_typed(made: Study):
    words = shlex.split(command_of(RunFolder(made.shown.folder)))
    assert words[:2] == ["python", "train.py"] and words[-1] == "task=evaluate"


def test_a_folder_stands_for_its_runs(made: Study, store, tmp_path):
    place = made.baseline.folder.parent
    shown = entreg.evaluate(place, [*ONE_THREAD, f"paths.store={store}"], folder=tmp_path / "judged")
    assert list(shown.results.arms) == list(made.shown.results.arms)
