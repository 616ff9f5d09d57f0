"""Results are read from the folder of an evaluation, or of a sweep that holds one."""

from __future__ import annotations

import shutil

import pytest

import entreg
from entreg.errors import UserError
from tests.library.conftest import Study


def test_results_are_those_of_the_evaluation(made: Study, tmp_path):
    assert entreg.read_results(made.shown.folder) == made.shown
    shutil.copytree(made.shown.folder, tmp_path / "sweep/evaluation")
    assert entreg.read_results(str(tmp_path / "sweep")).results == made.shown.results


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UserError, match=rf"^{tmp_path}: there are no results of an evaluation .*entreg.evaluate makes"):
        entreg.read_results(tmp_path)
