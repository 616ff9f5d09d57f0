"""Stimuli with maps of fixated pixels, in the layouts that MIT1003, CAT2000 and ETOCVD were published in."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from PIL import Image

from entreg.data.sources import fixation_maps
from entreg.errors import DataError
from tests.data.conftest import option

HEIGHT, WIDTH = 108, 192
MIT1003_SIZES = {"i10": (300, 400), "i2": (400, 277), "i1": (64, 80)}


def mit1003(root, **more):
    return option("mit1003", root=str(root), **more)


def cat2000(root, **more):
    return option("cat2000", root=str(root), **more)


def write_mit1003(root, rng, sizes, n=80):
    """A copy in the official layout; returns each stimulus's set of dots (row, column)."""
    (root / "ALLSTIMULI").mkdir(parents=True)
    (root / "ALLFIXATIONMAPS").mkdir()
    dots = {}
    for stem, (height, width) in sizes.items():
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(root / "ALLSTIMULI" / f"{stem}.jpeg")
        pixels = rng.choice(height * width, n, replace=False)
        fixated = np.zeros((height, width), np.uint8)
        fixated.flat[pixels] = 255
        Image.fromarray(fixated).save(root / "ALLFIXATIONMAPS" / f"{stem}_fixPts.jpg", quality=95)
        Image.fromarray(fixated).save(root / "ALLFIXATIONMAPS" / f"{stem}_fixMap.jpg")
        dots[f"{stem}.jpeg"] = set(zip(*np.nonzero(fixated), strict=True))
    return dots


def write_cat2000(root, rng, names=("Action/001", "Action/002", "Satelite/001"), n=50):
    """A copy of trainSet in the official layout; returns each stimulus's set of fixated pixels (row, column)."""
    pixels = {}
    for name in names:
        stimulus, locations = root / "Stimuli" / f"{name}.jpg", root / "FIXATIONLOCS" / f"{name}.mat"
        stimulus.parent.mkdir(parents=True, exist_ok=True)
        locations.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(stimulus)
        fixated = np.zeros((HEIGHT, WIDTH), np.uint8)
        fixated.flat[rng.choice(fixated.size, n, replace=False)] = 1
        scipy.io.savemat(locations, {"fixLocs": fixated}, do_compression=True)
        pixels[f"{name}.jpg"] = set(zip(*np.nonzero(fixated), strict=True))
    output = root / "Stimuli" / "Action" / "Output"
    output.mkdir()
    Image.new("L", (WIDTH, HEIGHT)).save(output / "001.jpg")
    return pixels


def assert_fixated_pixels_are(data, pixels):
    for i, stimulus in enumerate(data.stimuli):
        x, y = (values[data.fixations.image == i] for values in (data.fixations.x, data.fixations.y))
        assert set(zip(np.floor(y), np.floor(x), strict=True)) == pixels[stimulus.name]
        assert np.all(x % 1 == 0.5) and np.all(y % 1 == 0.5)


def test_jpeg_dots_are_found_again_at_their_pixels_centres(tmp_path, rng):
    dots = write_mit1003(tmp_path, rng, MIT1003_SIZES)
    data = fixation_maps.load(mit1003(tmp_path))
    assert [s.name for s in data.stimuli] == ["i1.jpeg", "i2.jpeg", "i10.jpeg"]  # natural order
    assert [(s.height_px, s.width_px) for s in data.stimuli] == [(64, 80), (400, 277), (300, 400)]
    assert [s.category for s in data.stimuli] == [None] * 3
    assert len(data.fixations.x) == 3 * 80
    assert_fixated_pixels_are(data, dots)
    assert data.fixations.subject is None
    assert data.dropped == {"outside the image": 0}


@pytest.mark.parametrize("inner", ["trainSet", "."])
def test_set_pixels_of_a_mat_are_found_at_their_centres(tmp_path, rng, inner):
    pixels = write_cat2000(tmp_path / inner, rng)
    data = fixation_maps.load(cat2000(tmp_path))
    assert [s.name for s in data.stimuli] == ["Action/001.jpg", "Action/002.jpg", "Satelite/001.jpg"]
    assert [s.category for s in data.stimuli] == ["Action", "Action", "Satelite"]
    assert {(s.height_px, s.width_px) for s in data.stimuli} == {(HEIGHT, WIDTH)}
    assert len(data.fixations.x) == 3 * 50
    assert_fixated_pixels_are(data, pixels)


@pytest.mark.parametrize("name, fixations", [("etocvd", 7128), ("etocvd_excluding_200ms", 6894)])
def test_a_third_laboratorys_layout_needs_a_yaml_alone(shared, name, fixations):
    data = fixation_maps.load(option(name, root=str(shared / "data/etocvd")))
    assert (len(data.stimuli), len(data.fixations.x), data.notes) == (101, fixations, ())


def test_what_zips_carry_along_is_skipped(tmp_path, rng):
    write_mit1003(tmp_path, rng, {"i1": (64, 80)})
    (tmp_path / "__MACOSX").mkdir()
    for junk in (".svn/text-base/i9.jpeg", "__MACOSX/i9.jpeg", "._i1.jpeg", ".DS_Store", "Thumbs.db"):
        path = tmp_path / "ALLSTIMULI" / junk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"junk")
    data = fixation_maps.load(mit1003(tmp_path))
    assert [s.name for s in data.stimuli] == ["i1.jpeg"]
    assert "1 stimuli instead of 1003; 1 are used" in data.notes[0]


def test_folders_that_are_no_category_are_skipped(tmp_path, rng):
    write_cat2000(tmp_path, rng)
    for junk in ("Output/001.jpg", "__MACOSX/001.jpg", ".svn/001.jpg", "Action/._001.jpg"):
        for path in (tmp_path / "Stimuli" / junk, (tmp_path / "FIXATIONLOCS" / junk).with_suffix(".mat")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"junk")
    assert len(fixation_maps.load(cat2000(tmp_path)).stimuli) == 3


def test_extensions_may_be_written_in_capitals(tmp_path, rng):
    write_mit1003(tmp_path, rng, {"i1": (64, 80)})
    (tmp_path / "ALLSTIMULI/i1.jpeg").rename(tmp_path / "ALLSTIMULI/i1.JPEG")
    assert [s.name for s in fixation_maps.load(mit1003(tmp_path)).stimuli] == ["i1.JPEG"]


def test_a_partial_copy_is_used_with_both_counts(tmp_path, rng):
    write_mit1003(tmp_path, rng, {"i1": (64, 80), "i2": (64, 80), "i3": (64, 80)})
    (tmp_path / "ALLFIXATIONMAPS" / "i2_fixPts.jpg").unlink()
    data = fixation_maps.load(mit1003(tmp_path))
    assert [s.name for s in data.stimuli] == ["i1.jpeg", "i3.jpeg"]
    assert "3 stimuli instead of 1003; 1 of them are left out" in data.notes[0]


def test_the_published_counts_have_no_note_and_others_have(tmp_path, rng):
    write_mit1003(tmp_path, rng, {"i1": (64, 80), "i2": (64, 80)})
    assert fixation_maps.load(mit1003(tmp_path, expected_images=2)).notes == ()
    assert fixation_maps.load(mit1003(tmp_path, expected_images=2, expected_fixations=160)).notes == ()
    (note,) = fixation_maps.load(mit1003(tmp_path, expected_images=2, expected_fixations=161)).notes
    assert "160 fixated pixels instead of 161" in note


def test_a_map_of_another_size_is_refused(tmp_path, rng):
    write_mit1003(tmp_path, rng, {"i1": (64, 80)})
    Image.new("L", (80, 60)).save(tmp_path / "ALLFIXATIONMAPS" / "i1_fixPts.jpg")
    with pytest.raises(DataError, match=r"i1_fixPts.jpg has 80 x 60 pixels, its stimulus .*i1.jpeg 80 x 64"):
        fixation_maps.load(mit1003(tmp_path))


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "001.mat cannot be read as a MATLAB file"),
        ({"fixLocs": np.ones((HEIGHT, WIDTH, 2))}, "001.mat: its variable fixLocs has 3 dimensions"),
        ({"other": np.ones((HEIGHT, WIDTH))}, "001.mat has no variable fixLocs"),
        ({"fixLocs": np.ones((10, 20))}, "001.mat has 20 x 10 pixels, its stimulus .*001.jpg 192 x 108"),
    ],
)
def test_wrong_maps_are_named(tmp_path, rng, content, said):
    write_cat2000(tmp_path, rng)
    path = tmp_path / "FIXATIONLOCS" / "Action" / "001.mat"
    path.write_bytes(b"damaged" * 100) if content is None else scipy.io.savemat(path, content)
    with pytest.raises(DataError, match=said):
        fixation_maps.load(cat2000(tmp_path))


@pytest.mark.parametrize(
    "layout, there, said",
    [
        (mit1003, [], "no folder ALLSTIMULI there"),
        (mit1003, ["ALLSTIMULI"], "no folder ALLFIXATIONMAPS there"),
        (mit1003, ["ALLSTIMULI", "ALLFIXATIONMAPS"], "no file matches ALLSTIMULI/*.jpeg"),
        (cat2000, [], "no folder trainSet/Stimuli or Stimuli there"),
        (cat2000, ["trainSet/Stimuli"], "no folder trainSet/FIXATIONLOCS or FIXATIONLOCS there"),
        (cat2000, ["trainSet/Stimuli/Action", "trainSet/FIXATIONLOCS"], "no file matches Stimuli/*/*.jpg"),
    ],
)
def test_missing_data_say_the_way_out(tmp_path, layout, there, said):
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    settings = layout(tmp_path)
    with pytest.raises(DataError) as caught:
        fixation_maps.load(settings)
    where = f"ood.{settings.name}.root=PATH", "task=prepare downloads it", settings.published_at
    for part in (str(tmp_path), said, *where, "data=synthetic needs none"):
        assert part in str(caught.value)


def test_stimuli_without_any_map_are_missing_data(tmp_path, rng):
    write_mit1003(tmp_path, rng, {"i1": (64, 80)})
    (tmp_path / "ALLFIXATIONMAPS" / "i1_fixPts.jpg").unlink()
    with pytest.raises(DataError, match="none of the stimuli has a map"):
        fixation_maps.load(mit1003(tmp_path))


def test_no_root_is_missing_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ALLSTIMULI").mkdir()
    with pytest.raises(DataError, match="no folder ALLSTIMULI"):
        fixation_maps.load(option("mit1003", root=None))


def test_a_sparse_map_is_read(tmp_path, rng):
    pixels = write_cat2000(tmp_path, rng)
    path = tmp_path / "FIXATIONLOCS/Action/001.mat"
    scipy.io.savemat(path, {"fixLocs": scipy.sparse.csc_matrix(scipy.io.loadmat(path)["fixLocs"].astype(float))})
    assert_fixated_pixels_are(fixation_maps.load(cat2000(tmp_path)), pixels)


def test_a_map_without_any_fixation_is_an_image_without_fixations(tmp_path, rng):
    write_cat2000(tmp_path, rng)
    scipy.io.savemat(tmp_path / "FIXATIONLOCS/Action/001.mat", {"fixLocs": np.zeros((HEIGHT, WIDTH))})
    data = fixation_maps.load(cat2000(tmp_path))
    assert len(data.stimuli) == 3 and sorted(set(data.fixations.image)) == [1, 2]


@pytest.mark.parametrize("key", ["stimuli", "maps", "archive"])
@pytest.mark.parametrize("value", ["../*.png", "/etc/*.png", "C:/*.png", "a/../../*.png", "", "a\0b"])
def test_patterns_stay_below_the_data_sets_folder(tmp_path, key, value):
    ((name, why),) = option("cat2000", root=str(tmp_path), **{key: value}).broken_rules()
    assert name == key and "below the folder of the data set" in why


@pytest.mark.parametrize("place", ["Stimuli/Action/003.jpg", "FIXATIONLOCS/Action/002.mat"])
def test_links_to_files_elsewhere_are_refused_and_a_whole_folder_may_be_one(tmp_path, rng, place):
    write_cat2000(tmp_path / "real", rng)
    (tmp_path / "copy").mkdir()
    for name in ("Stimuli", "FIXATIONLOCS"):
        (tmp_path / "copy" / name).symlink_to(tmp_path / "real" / name)
    assert len(fixation_maps.load(cat2000(tmp_path / "copy")).stimuli) == 3
    path, secret = tmp_path / "real" / place, tmp_path / "secret"
    (tmp_path / "real" / "Stimuli/Action/002.jpg").replace(secret) if place.startswith("S") else path.replace(secret)
    path.unlink(missing_ok=True)
    path.symlink_to(secret)
    if place.startswith("S"):
        (tmp_path / "real/FIXATIONLOCS/Action/003.mat").write_bytes(b"")
    with pytest.raises(DataError, match=rf"{path.name} is a link that leads out of .*, to {secret}; put the"):
        fixation_maps.load(cat2000(tmp_path / "copy"))
