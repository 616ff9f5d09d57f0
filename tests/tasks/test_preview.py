"""task=preview, as it is typed: a page of a data set on which nothing was trained."""

from __future__ import annotations

import pytest

from entreg.config.settings import resolved
from entreg.errors import DataError
from entreg.runs.folder import RunFolder, State
from entreg.tasks.preview import _sets, preview
from tests.conftest import SMALL
from tests.evaluation.photos import FIXATIONS, write_set


@pytest.fixture
def config_of(composed, tmp_path):
    """config_of(*words): the config of a preview of three photos, `lab`."""
    write_set(tmp_path / "lab", range(3))
    words = "task=preview", "data=folder", f"data.root={tmp_path}/lab", "data.name=lab", f"paths.store={tmp_path}/store"
    return lambda *more: resolved(composed(*words, *more))


def test_it_writes_a_page_and_prints_where(config_of, tmp_path, capsys):
    folder = RunFolder(tmp_path / "p")
    preview(config_of(), folder)
    assert capsys.readouterr().out == f"{folder.preview}\n" and folder.state is State.FINISHED
    text = folder.preview.read_text(encoding="utf-8")
    assert f"<dt>fixations read</dt><dd>{3 * FIXATIONS}</dd>" in text and "synthetic_ood" not in text
    assert len(list((tmp_path / "store/looked_at").iterdir())) == 1


def test_foreign_sets_are_shown_where_they_are_asked_for(composed, config_of, tmp_path):
    foreign = "ood=[]", "+data@ood.other=folder", f"ood.other.root={tmp_path}/lab"
    assert list(_sets(config_of(*foreign))) == ["data", "ood.other"]
    assert list(_sets(config_of())) == list(_sets(config_of("ood=[]"))) == ["data"]
    assert list(_sets(resolved(composed(*SMALL, "task=preview")))) == ["data", "ood.synthetic_ood"]


def test_a_set_that_is_missing_is_named_before_anything_is_read(config_of, tmp_path):
    with pytest.raises(DataError, match="^The data set other is not at /nowhere: no folder stimuli there"):
        preview(config_of("ood=[]", "+data@ood.other=folder", "ood.other.root=/nowhere"), RunFolder(tmp_path / "p"))
    assert not (tmp_path / "p").exists()


def test_a_set_that_a_training_refuses_can_be_looked_at(config_of, tmp_path):
    """Its x and y are shares of the images: what is wrong, and what mends it, stands beside the pictures."""
    table = tmp_path / "lab/fixations.csv"
    name = sorted(path.name for path in (tmp_path / "lab/stimuli").iterdir())
    table.write_text("image,x,y\n" + "".join(f"{name[i % 3]},0.{i:02d},0.5\n" for i in range(60)))
    folder = RunFolder(tmp_path / "p")
    preview(config_of(), folder)
    assert "they seem to be shares of the image. To mend it: data.frame.unit=shares" in folder.preview.read_text()
    assert not (tmp_path / "store/looked_at").exists()
