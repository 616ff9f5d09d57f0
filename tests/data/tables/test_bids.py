"""A made-up recording of 500 Hz: timestamps in ms from 10000, which is 1.0 s after the events' zero."""

import gzip
import json

import pytest
from PIL import Image

from entreg.config.tables import Columns, Frame, TableData
from entreg.data import recording
from entreg.errors import DataError

SAMPLES = {
    "SamplingFrequency": 500,
    "StartTime": 1.0,
    "Columns": ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"],
    "RecordedEye": "left",
    "SampleCoordinateSystem": "gaze-on-screen",
    "x_coordinate": {"Units": "pixel"},
    "y_coordinate": {"Units": "pixel"},
}
FIXATIONS = {"Columns": ["onset", "duration", "trial_type", "message"], "OnsetSource": "timestamp"}
SCREEN = {"StimulusPresentation": {"ScreenOrigin": ["top", "left"], "ScreenResolution": [200, 120]}}
START = "sub-01_task-view_recording-eye1"


@pytest.fixture
def read(tmp_path):
    """read(fixations, samples, screen, **typed): the fixations of the recording on a.png of 40 x 30 px."""

    def of(fixations, samples=SAMPLES, screen=SCREEN, about=FIXATIONS, **typed):
        folder = tmp_path / "sub-01/beh"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stimuli").mkdir(exist_ok=True)
        Image.new("L", (40, 30)).save(tmp_path / "stimuli/a.png")
        rows = [(t, 100 + (t >= 10400) * 10, "n/a" if t == 10202 else 60, 800) for t in range(10000, 12000, 2)]
        written = "\ufeff" + "".join("\t".join(map(str, row)) + "\n" for row in rows)
        (folder / f"{START}_physio.tsv.gz").write_bytes(gzip.compress(written.encode()))
        (folder / f"{START}_physioevents.tsv.gz").write_bytes(gzip.compress(fixations.encode()))
        (tmp_path / "task-view_physio.json").write_text(json.dumps(samples | {"RecordedEye": "right"}))
        (folder / f"{START}_physio.json").write_text(json.dumps({"RecordedEye": "left"}))
        (folder / f"{START}_physioevents.json").write_text(json.dumps(about))
        (tmp_path / "task-view_events.json").write_text(json.dumps(screen))
        events = "onset\tduration\ttrial_type\tstim_file\n0.5\t0.6\tfix\tn/a\n1.1\t0.5\tshow\ta.png\n"
        (folder / "sub-01_task-view_events.tsv").write_text(events)
        typed = {"root": str(tmp_path), "table": "bids", "file": "sub-*/beh/*_physioevents.tsv.gz"} | typed
        found = recording.read(
            TableData(columns=Columns(image="stim_file"), **typed), tmp_path / "stimuli", with_times=True
        )
        return found.fixations[["subject", "order", "x", "y", "start", "duration"]].to_numpy().tolist(), found.dropped

    return of


WHEN = "10050\t{0}\tfixation\tn/a\n10200\t{1}\tfixation\tn/a\n10300\t0.02\tsaccade\tn/a\n10396\t{2}\tfixation\tn/a\n"


def test_places_are_means_of_samples_and_pictures_come_from_the_events(read):
    """The picture appears at 1.1 s, which is 10100; of the samples 10396 to 10404 three lie 10 px further right."""
    found, dropped = read(WHEN.format("0.1", "0.1", "0.008"))
    assert found[0] == pytest.approx(["sub-01", 1, 20, 15, 100, 100])
    assert found[1] == pytest.approx(["sub-01", 2, 26, 15, 296, 8])
    assert dropped == {"begun before the picture": 1}


def test_an_onset_may_be_the_number_of_a_sample(read):
    about = FIXATIONS | {"OnsetSource": "n/a"}
    assert read("100\t0.1\tfixation\tn/a\n", about=about)[0] == [pytest.approx(["sub-01", 0, 20, 15, 100, 100])]


def test_durations_in_milliseconds_are_asked_about(read):
    table = WHEN.format("100", "100", "8")
    with pytest.raises(
        DataError, match=r"half of the fixations are said to last longer than 100 s; give data.time_unit=ms"
    ):
        read(table)
    assert read(table, time_unit="ms")[0][0] == pytest.approx(["sub-01", 1, 20, 15, 100, 100])


def test_a_screen_without_an_origin_is_refused_unless_it_is_typed(read):
    table, screen = WHEN.format("0.1", "0.1", "0.008"), {"StimulusPresentation": {"ScreenResolution": [200, 120]}}
    with pytest.raises(DataError, match="events.tsv: its JSON file does not say where the screen's origin is"):
        read(table, screen=screen)
    assert read(table, screen=screen, frame=Frame(origin="bottom_left"))[0][0][2:4] == pytest.approx([20, 15])


@pytest.mark.parametrize(
    "changed, said",
    [
        (
            {"SampleCoordinateSystem": "gaze-in-world"},
            "its places are gaze-in-world, in pixel; only pixels of the screen",
        ),
        ({"x_coordinate": {"Units": "deg"}}, "its places are gaze-on-screen, in deg and pixel; only pixels"),
        ({"Columns": ["timestamp", "x_coordinate"]}, "its JSON file names no column y_coordinate"),
        ({"SamplingFrequency": None}, "its JSON file has no SamplingFrequency; add it"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(read, changed, said):
    with pytest.raises(DataError, match=f"{START}_physio.tsv.gz: {said}"):
        read(WHEN.format("0.1", "0.1", "0.008"), samples=SAMPLES | changed)


def test_other_files_and_placeholders_are_named(read):
    with pytest.raises(DataError, match="does not say when fixations were; give data.file="):
        read(WHEN, file="sub-01/beh/*_physio.tsv.gz")
    with pytest.raises(DataError, match="_physioevents.tsv.gz holds no rows; get the file itself"):
        read("")
