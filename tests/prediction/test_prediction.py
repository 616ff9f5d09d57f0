"""A folder of images is predicted: as files, resumed, and with a bad photo among them."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import entreg
from entreg import tasks
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks, StopFlag, Stopped
from entreg.errors import DataError, SettingError, UserError
from entreg.prediction import map_files, prediction
from entreg.prediction.prediction import refuse_failures
from entreg.runs.folder import RunFolder, State
from entreg.tasks.predict import predict_all


@pytest.fixture
def images(photos, tmp_path):
    return shutil.copytree(photos, tmp_path / "images")


@pytest.fixture
def start(composed, finished, images, tmp_path):
    """start(*words, stop=...): predicts the images by a finished run, in the folder that it returns."""
    run = finished()

    def predict(*words: str, stop: StopFlag | None = None) -> RunFolder:
        typed = (
            "task=predict",
            f"run={run.path}",
            f"images={images}",
            "hardware=cpu",
            "study=p",
            f"paths.store={tmp_path}/store",
            *words,
        )
        config = resolved(composed(*typed))
        tasks.check(config)
        folder = RunFolder(tmp_path / "predicted")
        folder.refuse_other_config(config)
        assert predict_all(Ranks(stop=stop or StopFlag()), config, folder) == 3
        return folder

    return predict


NAMES = ["a.jpg", "b.png", "below/a.jpg"]


def test_every_image_has_its_files(start, finished, images):
    folder = start("prediction.hdf5=true")
    assert folder.state is State.FINISHED
    trained = entreg.load(finished(folder="same").path, device="cpu")
    with h5py.File(folder.log_densities) as file, folder.predictions_table.open() as table:
        for name, row in zip(NAMES, csv.DictReader(table), strict=True):
            expected = trained.log_density(images / name)
            with np.load(folder.log_density(name)) as kept:
                assert np.array_equal(kept["log_density"], expected.astype(np.float32))
            assert np.array_equal(file[name][:], expected.astype(np.float32))
            assert (row["image"], row["failure"]) == (name, "")
            assert (int(row["height_px"]), int(row["width_px"])) == expected.shape
            assert float(row["entropy_nats"]) == pytest.approx(-(np.exp(expected) * expected).sum(), abs=1e-4)
            alone, over = (np.array(Image.open(path).convert("RGB")) for path in folder.pictures_of(name))
            assert alone.shape == over.shape and not np.array_equal(alone, over)


def test_what_is_done_is_not_done_again(start, images, monkeypatch):
    folder = start("prediction.pictures=false")
    written = {name: folder.log_density(name).stat().st_mtime_ns for name in NAMES}
    assert not folder.pictures_of("a.jpg")[0].exists()
    Image.open(images / "b.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(images / "b.png")
    folder.log_density("below/a.jpg").write_bytes(b"cut short")
    asked = []
    original = prediction.TrainedModel.log_density
    monkeypatch.setattr(
        prediction.TrainedModel, "log_density", lambda self, rgb: asked.append(rgb) or original(self, rgb)
    )
    start("prediction.pictures=true")
    assert len(asked) == 2
    assert {name for name in NAMES if folder.log_density(name).stat().st_mtime_ns != written[name]} == set(NAMES[1:])
    assert all(path.is_file() for name in NAMES for path in folder.pictures_of(name))


def test_a_bad_photo_is_named_and_the_rest_is_done(start, images, tmp_path):
    (images / "aa.jpg").write_bytes((images / "a.jpg").read_bytes()[:1000])
    with pytest.raises(UserError, match=rf"^1 of 4 images could not be .*\n  {images}/aa.jpg cannot be read"):
        start("prediction.hdf5=true", "prediction.pictures=false")
    folder = RunFolder(tmp_path / "predicted")
    assert folder.state is not State.FINISHED
    with h5py.File(folder.log_densities) as file, folder.predictions_table.open() as table:
        rows = {row["image"]: row for row in csv.DictReader(table)}
        assert sorted(file) == ["a.jpg", "b.png", "below"] and list(rows) == ["a.jpg", "aa.jpg", "b.png", "below/a.jpg"]
    assert rows["aa.jpg"]["failure"].startswith(f"{images}/aa.jpg") and rows["b.png"]["failure"] == ""
    (images / "aa.jpg").unlink()
    assert start().state is State.FINISHED


def test_a_map_that_is_damaged_is_made_again(start, tmp_path):
    """Where the member that tells what it was made from is whole."""
    folder = start("prediction.pictures=false", "prediction.hdf5=true")
    place = folder.log_density("b.png")
    whole = place.read_bytes()
    with zipfile.ZipFile(place) as archive:
        member = archive.getinfo("log_density.npy")
    damaged = bytearray(whole)
    for at in range(member.header_offset + 200, member.header_offset + member.compress_size, 97):
        damaged[at] ^= 0xFF
    place.write_bytes(damaged)
    with np.load(place) as kept:
        assert len(str(kept["made_from"])) == 64
    assert start("prediction.pictures=false", "prediction.hdf5=true").state is State.FINISHED
    assert place.read_bytes() == whole


def test_a_link_out_of_the_folder_is_named_and_the_rest_is_done(start, images, tmp_path):
    (tmp_path / "secret.png").write_bytes((images / "b.png").read_bytes())
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    (images / "within.png").symlink_to(images / "b.png")
    with pytest.raises(UserError, match=rf"^1 of 5 images could not be .*\n  {images}/link.png is a link that leads"):
        start("prediction.pictures=false")
    folder = RunFolder(tmp_path / "predicted")
    with folder.predictions_table.open() as table:
        failed = [row["image"] for row in csv.DictReader(table) if row["failure"]]
    assert failed == ["link.png"] and not folder.log_density("link.png").exists()
    assert all(folder.log_density(name).is_file() for name in (*NAMES, "within.png"))
    (images / "link.png").unlink()
    (images / "within.png").unlink()
    assert start("prediction.pictures=false").state is State.FINISHED


def failing(start, tmp_path, *words: str) -> tuple[str, dict[str, str]]:
    """What is said at the end of a prediction in which some images fail, and every row's failure by its name."""
    with pytest.raises(UserError) as caught:
        start("prediction.pictures=false", *words)
    folder = RunFolder(tmp_path / "predicted")
    assert folder.state is not State.FINISHED and all(folder.log_density(name).is_file() for name in NAMES)
    with folder.predictions_table.open() as table:
        return str(caught.value), {row["image"]: row["failure"] for row in csv.DictReader(table)}


@pytest.mark.parametrize("size", [(20_000, 1), (4_000, 5), (5, 4_000)], ids=str)
def test_photos_of_any_shape_are_predicted_and_drawn_in_bounded_pictures(start, images, size):
    for name in NAMES:
        Image.new("RGB", size, "white").save(images / name)
    folder = start()
    width, height = size
    for name in NAMES:
        assert map_files.read(folder.log_density(name)).shape == (height, width)
        for path in folder.pictures_of(name):
            with Image.open(path) as picture:
                assert picture.height == 2.9 * 150 and 0.9 * 150 < picture.width <= (2.9 * 5 + 0.9) * 150


@pytest.mark.parametrize(
    "error, what",
    [(MemoryError(), "MemoryError"), (ValueError("no such\n shape"), "ValueError: no such shape")],
    ids=repr,
)
def test_whatever_a_photo_runs_into_fails_it_alone(start, images, tmp_path, monkeypatch, caplog, error, what):
    Image.new("RGB", (7, 7)).save(images / "c.png")
    original = prediction.TrainedModel.log_density

    def predict(self, rgb):
        if rgb.shape == (7, 7, 3):
            raise error
        return original(self, rgb)

    monkeypatch.setattr(prediction.TrainedModel, "log_density", predict)
    said, failures = failing(start, tmp_path)
    failure = f"{images}/c.png cannot be predicted: {what}"
    assert said == f"1 of 4 images could not be predicted, the others are done:\n  {failure}"
    assert failures == {**dict.fromkeys(NAMES, ""), "c.png": failure} and "Traceback" in caplog.text


def test_a_named_pipe_is_named_and_not_waited_for(start, images, tmp_path):
    os.mkfifo(images / "pipe.png")
    said, failures = failing(start, tmp_path)
    assert (
        failures["pipe.png"] == f"{images}/pipe.png is not a file; put the image there" and failures["pipe.png"] in said
    )


def test_a_name_that_is_not_utf_8_or_too_long_to_be_extended_fails_in_its_own_row(start, images, tmp_path):
    long = "n" * 240 + ".png"
    for name in (os.fsdecode(b"caf\xe9.png"), long):
        shutil.copy(images / "b.png", images / name)
    said, failures = failing(start, tmp_path)
    assert said.startswith("2 of 5 images could not be predicted")
    assert failures["caf\\udce9.png"] == f"{images}/caf\\udce9.png: its name is not UTF-8; give it another name"
    assert failures[long].endswith(f"cannot be written: File name too long. Give {images}/{long} another name")
    assert [name for name in NAMES if failures[name]] == []


def test_a_disk_that_is_full_ends_the_task(start, tmp_path, monkeypatch):
    def write(*_):
        raise DataError("map.npz: cannot be written: No space left on device") from OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(map_files, "write", write)
    with pytest.raises(DataError, match="^map.npz: cannot be written: No space left on device$"):
        start("prediction.pictures=false")
    assert not RunFolder(tmp_path / "predicted").predictions_table.exists()


def test_a_name_is_no_formula_and_no_control_character_in_the_table(start, images):
    names = {"=1+1.png": "./=1+1.png", "-a.png": "./-a.png", "\x1b[31m.png": "\\x1b[31m.png"}
    for old, new in zip(NAMES, names, strict=True):
        (images / old).rename(images / new)
    folder = start("prediction.pictures=false")
    with folder.predictions_table.open() as table:
        assert {row["image"] for row in csv.DictReader(table)} == {*names.values()}
    assert all(folder.log_density(name).is_file() for name in names)


class AskedToStop(StopFlag):
    """Is asked to stop before the second image."""

    times = 0

    @property
    def received(self) -> bool:
        self.times += 1
        return self.times > 1


def test_it_stops_where_it_is_asked_to_and_goes_on(start, tmp_path):
    with pytest.raises(Stopped):
        start("prediction.pictures=false", stop=AskedToStop())
    folder = RunFolder(tmp_path / "predicted")
    assert [folder.log_density(name).is_file() for name in NAMES] == [True, False, False]
    before = folder.log_density("a.jpg").stat().st_mtime_ns
    assert start("prediction.pictures=false").state is State.FINISHED
    assert folder.log_density("a.jpg").stat().st_mtime_ns == before and len(folder.starts()) == 2


def test_what_is_missing_is_said(start, tmp_path):
    with pytest.raises(DataError, match=r"^images=.*nowhere: there is no such folder"):
        start(f"images={tmp_path}/nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image of a type that Pillow reads"):
        start(f"images={tmp_path}/empty")
    with pytest.raises(UserError, match="empty: there is no finished training"):
        start(f"run={tmp_path}/empty")


@pytest.mark.parametrize("failed, lines", [(0, None), (1, 2), (20, 21), (25, 22)])
def test_twenty_failures_are_named_and_the_table_has_them_all(failed, lines):
    rows = [{"failure": ""}, *({"failure": f"{i}.jpg"} for i in range(failed))]
    if lines is None:
        refuse_failures(rows, Path("t.csv"))
        return
    with pytest.raises(UserError, match=f"^{failed} of {failed + 1} images could not be predicted") as caught:
        refuse_failures(rows, Path("t.csv"))
    said = str(caught.value).splitlines()
    assert len(said) == lines and (said[-1] == "  ... and 5 more, see t.csv") == (failed == 25)


def test_another_run_is_refused_in_the_same_folder(start, finished):
    start("prediction.pictures=false")
    with pytest.raises(SettingError, match="these settings differ: run"):
        start(f"run={finished(folder='other').path}")
