"""Data sets that pysaliency has written, and those of its newer versions, written after its source."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from entreg.data.images import read_rgb
from entreg.data.sources.pysaliency import Settings, load
from entreg.errors import DataError, SettingError
from tests.data.sources.pysaliency_set import FILES, GAZES, NAMES, SIZES, copied, draw
from tests.environments import by_pysaliency

NATURAL = ["i2.png", "i10.png", "sub/i1.png"]
TRAINS, SCANPATHS = "trains.hdf5", "scanpaths.hdf5"


@pytest.fixture
def root(tmp_path) -> Path:
    return copied(tmp_path / "set")


def settings(root: Path, fixations: str = TRAINS, **others) -> Settings:
    return Settings(name="p", root=str(root), fixations=fixations, **others)


def expected(drop_first: bool = False) -> set[tuple]:
    """(image, x, y, subject) of every fixation that lies in its image."""
    found = set()
    for xs, ys, n, subject in zip(*(GAZES[key] for key in ("xs", "ys", "ns", "subjects")), strict=True):
        height, width = SIZES[NAMES[n]]
        gaze = list(zip(xs, ys, strict=True))[int(drop_first) :]
        found |= {(NAMES[n], x, y, subject) for x, y in gaze if x < width and y < height}
    return found


def loaded(data) -> set[tuple]:
    gaze = data.fixations
    subject = [None] * len(gaze) if gaze.subject is None else gaze.subject.tolist()
    names = [data.stimuli[i].name for i in gaze.image]
    return set(zip(names, gaze.x.tolist(), gaze.y.tolist(), subject, strict=True))


def padded(rows) -> np.ndarray:
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found


def history() -> list[tuple]:
    """(n, x, y, subject, what came before of x) of every fixation, as pysaliency spreads scanpaths out."""
    trains = zip(*(GAZES[key] for key in ("ns", "xs", "ys", "subjects")), strict=True)
    return [(n, x, y, s, xs[:i]) for n, xs, ys, s in trains for i, (x, y) in enumerate(zip(xs, ys, strict=True))]


def write_scanpaths(path: Path, lengths: str = "length", subject: bool = True) -> None:
    """As datasets/scanpaths.py and datasets/fixations.py of pysaliency's repository do."""
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("ScanpathFixations"), np.bytes_("1.0")
        group = file.create_group("scanpaths")
        group.attrs["type"], group.attrs["version"] = np.bytes_("Scanpaths"), np.bytes_("1.0")
        group["xs"], group["ys"] = padded(GAZES["xs"]), padded(GAZES["ys"])
        group["n"], group[lengths] = GAZES["ns"], [len(one) for one in GAZES["xs"]]
        attributes = group.create_group("scanpath_attributes")
        attributes.attrs["__attributes__"] = np.bytes_(json.dumps(["subject"] if subject else []))
        if subject:
            attributes["subject"] = GAZES["subjects"]
        others = group.create_group("fixation_attributes")
        others["ts"] = padded(GAZES["xs"])
        others.attrs["__attributes__"] = np.bytes_('["ts"]')
        group.attrs["attribute_mapping"] = np.bytes_("{}")


def write_fixations(path: Path, version: str) -> None:
    rows = history()
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("Fixations"), np.bytes_(version)
        file["n"], file["x"], file["y"] = ([row[i] for row in rows] for i in range(3))
        file["t"] = np.zeros(len(rows))
        file["subject" if version == "1.2" else "subjects"] = [row[3] for row in rows]
        for axis in "xyt":
            # what is left of an array that was longer: only `lengths` says what counts
            file[f"{axis}_hist"] = np.full((len(rows), 3), 7.0)
        file["lengths"] = [len(row[4]) for row in rows]


def write_trains(path: Path) -> None:
    """Version 1.3, whose lengths count."""
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("FixationTrains"), np.bytes_("1.3")
        file["train_xs"], file["train_ys"] = (np.nan_to_num(padded(GAZES[key]), nan=5.0) for key in ("xs", "ys"))
        file["train_ts"] = padded(GAZES["xs"])
        file["train_ns"], file["train_subjects"] = GAZES["ns"], GAZES["subjects"]
        file["train_lengths"] = [len(one) for one in GAZES["xs"]]


@pytest.mark.parametrize("fixations", [TRAINS, "fixations.hdf5"])
@pytest.mark.parametrize("drop_first", [False, True])
def test_what_pysaliency_has_written(root, fixations, drop_first):
    data = load(settings(root, fixations, drop_first=drop_first))
    assert [stimulus.name for stimulus in data.stimuli] == NATURAL
    assert [(s.height_px, s.width_px) for s in data.stimuli] == [SIZES[name] for name in NATURAL]
    assert [stimulus.path for stimulus in data.stimuli] == [root / "stimuli" / name for name in NATURAL]
    assert [stimulus.category for stimulus in data.stimuli] == [None, None, "sub"]
    assert loaded(data) == expected(drop_first) and len(data.fixations) == (5 if drop_first else 10)
    assert data.dropped == ({"first of a scanpath": 5} if drop_first else {}) | {"outside the image": 1}
    assert sorted(data.fixations.image) == data.fixations.image.tolist()


@pytest.mark.parametrize("drop_first", [False, True])
@pytest.mark.parametrize(
    "write",
    [
        write_scanpaths,
        lambda path: write_scanpaths(path, "lengths"),
        write_trains,
        lambda path: write_fixations(path, "1.1"),
        lambda path: write_fixations(path, "1.2"),
    ],
    ids=["scanpaths", "scanpaths with lengths", "trains 1.3", "fixations 1.1", "fixations 1.2"],
)
def test_what_newer_versions_write(root, write, drop_first):
    write(root / SCANPATHS)
    assert loaded(load(settings(root, SCANPATHS, drop_first=drop_first))) == expected(drop_first)


def test_people_that_are_not_told_apart_are_nobody(root):
    for fixations in ("pooled.hdf5", SCANPATHS):
        write_scanpaths(root / SCANPATHS, subject=False)
        data = load(settings(root, fixations))
        assert data.fixations.subject is None
        assert loaded(data) == {(name, x, y, None) for name, x, y, _ in expected()}


def test_subjects_may_have_names(root):
    write_scanpaths(root / SCANPATHS)
    with h5py.File(root / SCANPATHS, "a") as file:
        del file["scanpaths/scanpath_attributes/subject"]
        file["scanpaths/scanpath_attributes"]["subject"] = [f"person {9 - one}" for one in GAZES["subjects"]]
    found = {(name, x, y, 2 - subject) for name, x, y, subject in loaded(load(settings(root, SCANPATHS)))}
    assert found == expected()


def test_stimuli_in_the_file_are_unpacked_once(root, tmp_path):
    given = settings(root, stimuli="arrays.hdf5", unpacked=str(tmp_path / "unpacked"))
    first, again = load(given), load(given)
    assert [stimulus.name for stimulus in first.stimuli] == ["000000.png", "000001.png", "000002.png"]
    for stimulus, name in zip(first.stimuli, NAMES, strict=True):
        assert np.array_equal(Image.open(stimulus.path), Image.open(root / "stimuli" / name))
    assert again.stimuli == first.stimuli and len(list((tmp_path / "unpacked").iterdir())) == 1
    renamed = dict(zip(NAMES, ["000000.png", "000001.png", "000002.png"], strict=True))
    assert loaded(first) == {(renamed[name], x, y, subject) for name, x, y, subject in expected()}
    with pytest.raises(SettingError, match="holds the stimuli themselves: data.unpacked=FOLDER"):
        load(settings(root, stimuli="arrays.hdf5"))


def test_what_is_unpacked_is_whole_or_refused(root, tmp_path, monkeypatch):
    given = settings(root, stimuli="arrays.hdf5", unpacked=str(tmp_path / "unpacked"))
    flushed, real = [], os.fsync

    def full(handle):
        if len(flushed) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flushed.append(handle)
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"0000\d\d.png: cannot be written: No space left on device$"):
            load(given)
    assert not [path for path in (tmp_path / "unpacked").iterdir() if not path.name.endswith(".partial")]
    first = load(given).stimuli[1].path
    whole = first.read_bytes()
    for damaged in (whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:], None):
        first.write_bytes(damaged) if damaged else first.unlink()
        with pytest.raises(DataError, match=rf"^{first.parent}: the unpacked stimuli are damaged; remove it"):
            load(given)
        first.write_bytes(whole)
    assert len(load(given).stimuli) == 3


def test_names_never_leave_their_folder(root, tmp_path):
    (tmp_path / "secret.png").write_bytes((root / "stimuli/i2.png").read_bytes())
    for name in ("../secret.png", str(tmp_path / "secret.png"), "stimuli/../../secret.png", "../set2/secret.png"):
        with h5py.File(root / "stimuli.hdf5", "a") as file:
            file["filenames"][1] = name
        with pytest.raises(DataError, match=rf"^{root}/stimuli.hdf5: filenames: '{name}' leads out of {root};"):
            load(settings(root))
    with h5py.File(root / "stimuli.hdf5", "a") as file:
        file["filenames"][1] = "../secret.png"
    given = Settings(root=str(tmp_path), stimuli="set/stimuli.hdf5", fixations="set/trains.hdf5")
    assert load(given).stimuli[1].name == "set/stimuli/i10.png"


@pytest.mark.parametrize(
    "file, change, said",
    [
        ("stimuli.hdf5", lambda f: f.attrs.__delitem__("type"), "type: is missing"),
        (
            "stimuli.hdf5",
            lambda f: f.attrs.__setitem__("type", "Fixations"),
            "type: is 'Fixations' and must be one of Fi",
        ),
        (
            "stimuli.hdf5",
            lambda f: f.attrs.__setitem__("version", "3.0"),
            "version: is '3.0'; for FileStimuli it must be one of",
        ),
        ("stimuli.hdf5", lambda f: f.__delitem__("filenames"), "filenames: is missing"),
        ("stimuli.hdf5", lambda f: f.__delitem__("shapes"), "shapes: is missing"),
        ("stimuli.hdf5", lambda f: f["shapes"].__setitem__(0, [1, 2, 3]), "i10.png has 40 x 30 pixels, its data set"),
        ("stimuli.hdf5", lambda f: f["filenames"].__setitem__(0, "stimuli/i2.png"), "filenames: .* occurs twice"),
        ("stimuli.hdf5", lambda f: f["filenames"].__setitem__(0, "stimuli/no.png"), "stimuli/no.png is missing"),
        (TRAINS, lambda f: f["train_ns"].__setitem__(0, 3), "n: it names stimulus 3 or 0 of 3"),
        (TRAINS, lambda f: f["train_ns"].__setitem__(0, -1), "n: it names stimulus 2 or -1 of 3"),
        (TRAINS, lambda f: f.__delitem__("train_ys"), "train_ys: is missing"),
        (
            TRAINS,
            lambda f: (f.__delitem__("train_ns"), f.__setitem__("train_ns", [0, 1])),
            "train_xs: 5 scanpaths, but",
        ),
        (TRAINS, lambda f: (f.__delitem__("train_ns"), f.__setitem__("train_ns", [0.5] * 5)), "not whole numbers"),
        (
            TRAINS,
            lambda f: (f.__delitem__("train_xs"), f.__setitem__("train_xs", [1.0] * 5)),
            "shape .5,. and must have 2 dimens",
        ),
        (TRAINS, lambda f: (f.__delitem__("train_xs"), f.create_group("train_xs")), "train_xs: is not a data set"),
        (TRAINS, lambda f: f.__setitem__("train_lengths", [9] * 5), "train_xs: scanpaths of 9 fixations in rows of 3"),
    ],
)
def test_what_is_malformed_is_named_with_its_key(root, file, change, said):
    with h5py.File(root / file, "a") as opened:
        change(opened)
    with pytest.raises(DataError, match=said) as error:
        load(settings(root))
    assert str(error.value).startswith(str(root)) and "\n" not in str(error.value)


@pytest.mark.parametrize("length", [0, 100, 3000])
def test_a_file_that_is_cut_short_is_named(root, length):
    path = root / TRAINS
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=rf"^{path}: cannot be read as HDF5: [^\n]*$"):
        load(settings(root))


def test_sixteen_bits_and_cmyk_are_the_same_pixels_in_either_form(root):
    deep = np.random.default_rng(0).integers(0, 65536, (30, 40), dtype=np.uint16)
    Image.fromarray(deep).save(root / "stimuli/i10.png")
    Image.new("CMYK", (25, 20), (10, 20, 30, 40)).save(root / "stimuli/sub/i1.png", format="TIFF")
    in_files = {stimulus.name: read_rgb(stimulus.path) for stimulus in load(settings(root)).stimuli}
    assert in_files["i10.png"][..., 0].tolist() == np.round(deep / 257).tolist()
    assert in_files["sub/i1.png"][0, 0].tolist() == [207, 198, 190]  # (255 - ink) * (1 - 40 / 255), rounded
    with h5py.File(root / "arrays.hdf5", "a") as file:
        del file["0"]
        file["0"] = deep
    unpacked = load(settings(root, stimuli="arrays.hdf5", unpacked=str(root / "unpacked"))).stimuli
    assert np.array_equal(read_rgb(unpacked[0].path), in_files["i10.png"])


def test_a_missing_file_is_answered_with_what_to_type(root):
    with pytest.raises(DataError, match=f"The data set p is not at {root}: no gone.hdf5 there.\n +have it elsewhere"):
        load(settings(root, "gone.hdf5"))
    with pytest.raises(DataError, match="is not at any place .root is not set.: no stimuli.hdf5 there"):
        load(Settings(name="p"))


@pytest.mark.slow
def test_pysaliency_still_writes_these_files(tmp_path):
    """The files beside this one are what its release 0.2.22 makes of these scanpaths."""
    paths = [str(path.relative_to(tmp_path)) for path in draw(tmp_path)]
    by_pysaliency("write.py", GAZES | {"stimuli": paths}, tmp_path)
    for path in FILES.glob("*.hdf5"):
        with h5py.File(path) as kept, h5py.File(tmp_path / path.name) as made:
            keys = []
            kept.visit(keys.append)
            for key in keys:
                if isinstance(kept[key], h5py.Dataset):
                    if kept[key].dtype.kind == "O":
                        assert [list(one) for one in kept[key]] == [list(one) for one in made[key]]
                    else:
                        np.testing.assert_array_equal(kept[key][...], made[key][...])
