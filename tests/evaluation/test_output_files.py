"""The files that an evaluation writes; what they say is in tests/tasks and tests/report."""

from __future__ import annotations

import pytest

from entreg.config import Evaluation
from entreg.evaluation import output_files
from entreg.evaluation.summary import summarise
from entreg.io import digests, sums
from entreg.report import page
from entreg.results.schema import Plan
from entreg.runs.folder import RunFolder
from tests.unpainted import paint_nothing

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_page_is_written_after_all_else_and_the_sums_of_all_after_it(evaluator, tmp_path, monkeypatch):
    paint_nothing(monkeypatch)
    folder = RunFolder(tmp_path)
    tables = folder.per_image, folder.arms, folder.comparisons, folder.bias_maps, folder.evidence, folder.illustrations
    others = (*tables, folder.results, folder.provenance)
    plan = Plan(None, "ood", "ig_bits_per_fixation", ["foreign"], [], "nothing was planned")
    data = evaluator.runs.data()
    results = summarise(evaluator.runs.arms, [], evaluator.evidence(), data, [], plan, Evaluation())
    write = page.write

    def written(folder: RunFolder, content: page.Content) -> None:
        assert all(path.is_file() for path in others) and not folder.report.exists()
        write(folder, content)

    monkeypatch.setattr(page, "write", written)
    output_files.write(folder, results, evaluator, {"git_commit": None})
    assert folder.report.is_file()
    known = sums.read(folder.sums)
    assert {tmp_path / name for name in known} == {folder.report, *others} and not sums.differing(tmp_path, known)
    (start,) = folder.starts()
    runs = [run.folder for arm in evaluator.runs.arms for run in arm.runs]
    assert start["runs"] == {str(run): digests.sha256(run.final) for run in runs}
