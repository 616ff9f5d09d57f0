import json

import pytest
from PIL import Image

from entreg.config.tables import TableData
from entreg.data import recording
from entreg.errors import DataError

WEBGAZER = [
    {"trial_type": "preload"},
    {
        "stimulus": "img/a.png",
        "subject": "p1",
        "webgazer_data": [{"x": 140, "y": 80, "t": 35}, {"x": 110, "y": 50, "t": 70}],
        "webgazer_targets": {"#jspsych-image-stimulus": {"x": 100, "y": 50, "width": 80, "height": 60}, "#button": {}},
    },
]
SALICON = {
    "images": [{"id": 7, "file_name": "a.png", "height": 30, "width": 40}],
    "annotations": [{"image_id": 7, "worker_id": 3, "fixations": [[1, 2], [30, 40]]}],
}


@pytest.fixture
def read(tmp_path):
    """read(preset, content, accept): the samples on a.png of 40 x 30 px."""

    def of(preset, content, accept=("samples",)):
        (tmp_path / "stimuli").mkdir(exist_ok=True)
        Image.new("L", (40, 30)).save(tmp_path / "stimuli/a.png")
        (tmp_path / "d.json").write_text(json.dumps(content))
        settings = TableData(root=str(tmp_path), file="d.json", table=preset, accept=list(accept))
        return recording.read(settings, tmp_path / "stimuli").fixations

    return of


def test_the_box_of_the_image_is_that_of_the_trial(read):
    """It was shown twice as large, its corner at (100, 50) of the window."""
    found = read("webgazer", WEBGAZER)
    assert found[["subject", "order", "x", "y"]].to_numpy().tolist() == [["p1", 0, 20, 15], ["p1", 1, 5, 0]]


def test_salicon_counts_rows_before_columns_and_from_one(read):
    found = read("salicon", SALICON)
    assert found[["x", "y"]].to_numpy().tolist() == [[1, 0], [39, 29]] and "order" not in found


@pytest.mark.parametrize("preset, content", [("webgazer", WEBGAZER), ("salicon", SALICON)])
def test_samples_have_to_be_accepted(read, preset, content):
    with pytest.raises(DataError, match=r"d.json holds 2 samples, not fixations: .* I2MC.* data.accept=\[samples\]"):
        read(preset, content, accept=())


def test_other_files_are_named(read):
    with pytest.raises(
        DataError, match="d.json is no recording of jsPsych's .* or of SALICON .KeyError 'images'.; give"
    ):
        read("salicon", {"a": 1})
    targets = {"#a": {}, "#b": {}}
    with pytest.raises(DataError, match="d.json, trial 0: webgazer_targets does not say where the image was"):
        read("webgazer", [WEBGAZER[1] | {"webgazer_targets": targets}])
