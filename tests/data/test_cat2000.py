import numpy as np
import pytest
import scipy.io
from PIL import Image

from entreg.config import Cat2000
from entreg.data import cat2000
from entreg.errors import DataError

HEIGHT, WIDTH = 108, 192


def settings(root):
    return Cat2000(name="cat2000", root=str(root))


def write(root, rng, names=("Action/001", "Action/002", "Satelite/001"), n=50):
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
        pixels[f"{name}.jpg"] = set(zip(*np.nonzero(fixated)))
    output = root / "Stimuli" / "Action" / "Output"
    output.mkdir()
    Image.new("L", (WIDTH, HEIGHT)).save(output / "001.jpg")
    return pixels


@pytest.mark.parametrize("inner", ["trainSet", "."])
def test_set_pixels_are_found_at_their_centres(tmp_path, rng, inner):
    pixels = write(tmp_path / inner, rng)
    data = cat2000.load(settings(tmp_path))
    assert [s.name for s in data.stimuli] == ["Action/001.jpg", "Action/002.jpg", "Satelite/001.jpg"]
    assert [s.category for s in data.stimuli] == ["Action", "Action", "Satelite"]
    assert {(s.height_px, s.width_px) for s in data.stimuli} == {(HEIGHT, WIDTH)}
    for i, stimulus in enumerate(data.stimuli):
        x, y = (values[data.fixations.image == i] for values in (data.fixations.x, data.fixations.y))
        assert len(x) == 50 and np.all(x % 1 == 0.5) and np.all(y % 1 == 0.5)
        assert set(zip(np.floor(y), np.floor(x))) == pixels[stimulus.name]


def test_folders_that_are_no_category_are_skipped(tmp_path, rng):
    write(tmp_path, rng)
    for junk in ("Output/001.jpg", "__MACOSX/001.jpg", ".svn/001.jpg", "Action/._001.jpg"):
        for path in (tmp_path / "Stimuli" / junk, (tmp_path / "FIXATIONLOCS" / junk).with_suffix(".mat")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"junk")
    assert len(cat2000.load(settings(tmp_path)).stimuli) == 3


def test_a_partial_copy_is_used_with_both_counts(tmp_path, rng):
    write(tmp_path, rng)
    (tmp_path / "FIXATIONLOCS" / "Action" / "001.mat").unlink()
    data = cat2000.load(settings(tmp_path))
    assert [s.name for s in data.stimuli] == ["Action/002.jpg", "Satelite/001.jpg"]
    assert "3 stimuli instead of 2000; 1 of them left out" in data.notes[0]


def test_the_whole_data_set_has_no_note(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(cat2000, "IMAGES", 3)
    write(tmp_path, rng)
    assert cat2000.load(settings(tmp_path)).notes == ()


@pytest.mark.parametrize("content, said", [
    (None, "001.mat cannot be read as a MATLAB file"),
    ({"other": np.ones((HEIGHT, WIDTH))}, "001.mat has no variable fixLocs"),
    ({"fixLocs": np.ones((10, 20))}, "001.mat is 20 x 10, its stimulus .*001.jpg has 192 x 108 pixels"),
])
def test_wrong_maps_are_named(tmp_path, rng, content, said):
    write(tmp_path, rng)
    path = tmp_path / "FIXATIONLOCS" / "Action" / "001.mat"
    path.write_bytes(b"damaged" * 100) if content is None else scipy.io.savemat(path, content)
    with pytest.raises(DataError, match=said):
        cat2000.load(settings(tmp_path))


@pytest.mark.parametrize("there, said", [
    ([], "no folder trainSet/Stimuli or Stimuli there"),
    (["trainSet/Stimuli"], "no folder trainSet/FIXATIONLOCS or FIXATIONLOCS there"),
    (["trainSet/Stimuli/Action", "trainSet/FIXATIONLOCS"], "no <Category>/NNN.jpg in Stimuli"),
])
def test_missing_data_say_the_way_out(tmp_path, there, said):
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        cat2000.load(settings(tmp_path))
    for part in (str(tmp_path), said, "ood.root=PATH", cat2000.SOURCE, "data=synthetic needs none"):
        assert part in str(caught.value)
