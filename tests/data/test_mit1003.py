import numpy as np
import pytest
from PIL import Image

from entreg.config import Mit1003
from entreg.data import mit1003
from entreg.errors import DataError


def settings(root):
    return Mit1003(name="mit1003", root=str(root))


def write(root, rng, sizes, n=80):
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
        dots[f"{stem}.jpeg"] = set(zip(*np.nonzero(fixated)))
    return dots


def test_jpeg_dots_are_found_again_at_their_pixels_centres(tmp_path, rng):
    dots = write(tmp_path, rng, {"i10": (300, 400), "i2": (400, 277), "i1": (64, 80)})
    data = mit1003.load(settings(tmp_path))
    assert [s.name for s in data.stimuli] == ["i1.jpeg", "i2.jpeg", "i10.jpeg"]  # natural order
    assert [(s.height_px, s.width_px) for s in data.stimuli] == [(64, 80), (400, 277), (300, 400)]
    assert len(data.fixations.x) == 3 * 80
    for i, stimulus in enumerate(data.stimuli):
        x, y = (values[data.fixations.image == i] for values in (data.fixations.x, data.fixations.y))
        assert set(zip(np.floor(y), np.floor(x))) == dots[stimulus.name]
        assert np.all(x % 1 == 0.5) and np.all(y % 1 == 0.5)
    assert data.fixations.subject is None
    assert data.dropped == {"outside the image": 0}


def test_what_zips_carry_along_is_skipped(tmp_path, rng):
    write(tmp_path, rng, {"i1": (64, 80)})
    (tmp_path / "__MACOSX").mkdir()
    for junk in (".svn/text-base/i9.jpeg", "__MACOSX/i9.jpeg", "._i1.jpeg", ".DS_Store", "Thumbs.db"):
        path = tmp_path / "ALLSTIMULI" / junk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"junk")
    data = mit1003.load(settings(tmp_path))
    assert [s.name for s in data.stimuli] == ["i1.jpeg"]
    assert "1 stimuli instead of 1003; 1 are used" in data.notes[0]


def test_a_partial_copy_is_used_with_both_counts(tmp_path, rng):
    write(tmp_path, rng, {"i1": (64, 80), "i2": (64, 80), "i3": (64, 80)})
    (tmp_path / "ALLFIXATIONMAPS" / "i2_fixPts.jpg").unlink()
    data = mit1003.load(settings(tmp_path))
    assert [s.name for s in data.stimuli] == ["i1.jpeg", "i3.jpeg"]
    assert "3 stimuli instead of 1003; 1 of them left out" in data.notes[0]


def test_the_whole_data_set_has_no_note(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(mit1003, "IMAGES", 2)
    write(tmp_path, rng, {"i1": (64, 80), "i2": (64, 80)})
    assert mit1003.load(settings(tmp_path)).notes == ()


def test_a_map_of_another_size_is_refused(tmp_path, rng):
    write(tmp_path, rng, {"i1": (64, 80)})
    Image.new("L", (80, 60)).save(tmp_path / "ALLFIXATIONMAPS" / "i1_fixPts.jpg")
    with pytest.raises(DataError, match="i1_fixPts.jpg has 80 x 60 pixels, its stimulus .*i1.jpeg 80 x 64"):
        mit1003.load(settings(tmp_path))


@pytest.mark.parametrize("there, said", [
    ([], "no folder ALLSTIMULI there"),
    (["ALLSTIMULI"], "no folder ALLFIXATIONMAPS there"),
    (["ALLSTIMULI", "ALLFIXATIONMAPS"], "no .jpeg in ALLSTIMULI"),
])
def test_missing_data_say_the_way_out(tmp_path, there, said):
    for name in there:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError) as caught:
        mit1003.load(settings(tmp_path))
    for part in (str(tmp_path), said, "data.root=PATH", mit1003.SOURCE + "ALLSTIMULI.zip", "data=synthetic needs none"):
        assert part in str(caught.value)


def test_stimuli_without_any_map_are_missing_data(tmp_path, rng):
    write(tmp_path, rng, {"i1": (64, 80)})
    (tmp_path / "ALLFIXATIONMAPS" / "i1_fixPts.jpg").unlink()
    with pytest.raises(DataError, match="none of the stimuli's maps"):
        mit1003.load(settings(tmp_path))


def test_no_root_is_missing_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ALLSTIMULI").mkdir()
    with pytest.raises(DataError, match="no folder ALLSTIMULI"):
        mit1003.load(Mit1003(name="mit1003", root=None))
