import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from entreg.data.images import read_rgb, size_of
from entreg.data.sources import synthetic
from entreg.errors import DataError, SettingError


def elsewhere(settings, tmp_path, **more):
    return dataclasses.replace(settings, root=str(tmp_path / "store"), **more)


def content(settings):
    """Bytes of everything that a set consists of, by name."""
    folder = synthetic.load(settings).stimuli[0].path.parent
    with np.load(folder / "set.npz") as drawn:
        arrays = {name: drawn[name].tobytes() for name in drawn}
    return arrays | {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_counts_sizes_and_subjects(small):
    data = synthetic.load(small)
    assert len(data.stimuli) == 10
    for i, stimulus in enumerate(data.stimuli):
        size = (128, 96) if i % 5 == 4 else (96, 128)  # every fifth is a portrait
        assert (stimulus.height_px, stimulus.width_px) == size == size_of(stimulus.path)
    assert data.fixations.image.tolist() == np.repeat(np.arange(10), 15 * 6).tolist()
    assert data.fixations.subject.tolist() == np.tile(np.repeat(np.arange(15), 6), 10).tolist()


def test_fixations_lie_inside_their_images(small):
    data = synthetic.load(small)
    widths, heights = (
        np.array([getattr(s, side) for s in data.stimuli])[data.fixations.image] for side in ("width_px", "height_px")
    )
    assert np.all((data.fixations.x >= 0) & (data.fixations.x < widths))
    assert np.all((data.fixations.y >= 0) & (data.fixations.y < heights))


def test_the_density_sums_to_one(small):
    for i in range(10):
        log_density = small.true_log_density(i)
        stimulus = synthetic.load(small).stimuli[i]
        assert log_density.shape == (stimulus.height_px, stimulus.width_px)
        assert np.exp(log_density).sum() == pytest.approx(1, abs=1e-12)


def test_the_density_is_the_mixture(small, tmp_path):
    parts = {}
    for name, bias, objects in (("bias", 1, 0), ("objects", 0, 1), ("uniform", 0, 0)):
        settings = elsewhere(small, tmp_path, images=4, bias_share=bias, object_share=objects)
        parts[name] = np.exp(settings.true_log_density(0))
    mixed = np.exp(dataclasses.replace(small, images=4).true_log_density(0))
    assert mixed == pytest.approx(0.35 * parts["bias"] + 0.55 * parts["objects"] + 0.1 * parts["uniform"], rel=1e-9)
    assert parts["uniform"] == pytest.approx(np.full((96, 128), 1 / (96 * 128)))


def test_the_bias_has_the_centre_and_spread_that_were_asked_for(small, tmp_path):
    bias = {"bias_x": 0.6, "bias_y": 0.4, "bias_sigma": 0.05, "bias_share": 1, "object_share": 0}
    settings = elsewhere(small, tmp_path, images=4, **bias)
    p = np.exp(settings.true_log_density(0))
    x, y = np.arange(128) + 0.5, np.arange(96) + 0.5
    assert p.sum(0) @ x == pytest.approx(0.6 * 128, abs=1e-3)
    assert p.sum(1) @ y == pytest.approx(0.4 * 96, abs=1e-3)
    assert p.sum(0) @ (x - 0.6 * 128) ** 2 == pytest.approx((0.05 * 128) ** 2, rel=1e-3)
    assert p.sum(1) @ (y - 0.4 * 96) ** 2 == pytest.approx((0.05 * 96) ** 2, rel=1e-3)


def test_fixations_come_from_the_density(small, tmp_path):
    """Their mean log density is the density's negative entropy, up to sampling error."""
    settings = elsewhere(small, tmp_path, images=4, observers=100, fixations_per_observer=100)
    data = synthetic.load(settings)
    for i in range(4):
        log_density = settings.true_log_density(i)
        mine = data.fixations.image == i
        seen = log_density[np.floor(data.fixations.y[mine]).astype(int), np.floor(data.fixations.x[mine]).astype(int)]
        p = np.exp(log_density)
        expected = (p * log_density).sum()
        standard_error = np.sqrt(((p * log_density**2).sum() - expected**2) / len(seen))
        assert abs(seen.mean() - expected) < 4 * standard_error
        x, y = data.fixations.x[mine], data.fixations.y[mine]
        assert abs(x.mean() - p.sum(0) @ (np.arange(p.shape[1]) + 0.5)) < 4 * x.std() / 100
        assert abs(y.mean() - p.sum(1) @ (np.arange(p.shape[0]) + 0.5)) < 4 * y.std() / 100


def test_objects_differ_from_the_ground_they_lie_on(small):
    """Where fixations gather there is something to see: such pixels stand out from the image's median."""
    data = synthetic.load(small)
    for i, stimulus in enumerate(data.stimuli):
        rgb = read_rgb(stimulus.path).astype(float)
        spread = np.abs(rgb - np.median(rgb, axis=(0, 1))).max(-1)
        p = np.exp(small.true_log_density(i))
        assert spread[p > 0.5 * p.max()].mean() > 1.2 * np.median(spread)


def test_drawing_is_the_same_in_every_process(small, tmp_path):
    settings = elsewhere(small, tmp_path, images=4)
    script = f"from entreg.data.sources.synthetic import Settings, load\nload({settings!r})"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
    there = content(settings)
    here = content(dataclasses.replace(settings, root=str(tmp_path / "here")))
    assert there == here


@pytest.mark.parametrize("change", [{"seed": 7}, {"bias_x": 0.7}, {"observers": 3}, {"long_side_px": 160}])
def test_other_settings_are_another_set(small, tmp_path, change):
    settings = elsewhere(small, tmp_path, images=4)
    other = dataclasses.replace(settings, **change)
    assert synthetic.load(settings).stimuli[0].path.parent != synthetic.load(other).stimuli[0].path.parent
    assert content(settings) != content(other)


def test_settings_that_leave_the_set_as_it_is_share_it(small):
    other = dataclasses.replace(small, limit=5, split_seed=1, folds=2, sigma_px=3.0, name="other")
    assert synthetic.load(small).stimuli == synthetic.load(other).stimuli


def test_a_drawn_set_is_only_read(small, monkeypatch):
    synthetic.load(small)
    monkeypatch.setattr(synthetic, "_draw", lambda *_: pytest.fail("drawn again"))
    synthetic.load(small)
    small.true_log_density(3)


def test_what_a_killed_process_left_is_thrown_away(small, tmp_path, monkeypatch):
    settings = elsewhere(small, tmp_path, images=4)

    def killed(settings, folder):
        (folder / "0000.png").write_text("half an image")
        (folder / "stray.png").write_text("half an image")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(synthetic, "_draw", killed)
        synthetic.load(settings)
    assert len(list(Path(settings.root).glob("*/stray.png"))) == 1
    assert content(settings) == content(dataclasses.replace(settings, root=str(tmp_path / "clean")))
    assert not list(Path(settings.root).glob("*/stray.png"))


def test_several_that_start_at_once_draw_once(small, tmp_path, monkeypatch):
    settings = elsewhere(small, tmp_path, images=4)
    draw, drawn = synthetic._draw, []
    monkeypatch.setattr(synthetic, "_draw", lambda *arguments: (drawn.append(1), draw(*arguments)))
    with ThreadPoolExecutor(4) as pool:
        sets = list(pool.map(synthetic.load, [settings] * 4))
    assert drawn == [1]
    assert all(one.stimuli == sets[0].stimuli for one in sets)


def test_a_root_that_cannot_be_written_is_an_error(small, tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot draw synthetic images into .*paths.store=PATH"):
        synthetic.load(elsewhere(small, tmp_path))
    with pytest.raises(SettingError, match="data.root=PATH"):
        synthetic.load(dataclasses.replace(small, root=None))


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": None},
        {"sizes": np.zeros((10, 2), int)},
        {"sizes": np.ones((10, 3), int)},
        {"x": np.zeros(3)},
        {"x": np.full(900, np.nan)},
        {"image": np.full(900, 99)},
        {"image": np.zeros(900)},
        {"objects": np.array(3.0)},
        {"subject": np.array(["a"] * 900)},
    ],
    ids=["no sizes", "no pixels", "three sides", "short", "NaN", "other image", "no index", "no rows", "names"],
)
def test_a_drawn_set_that_holds_other_arrays_is_named(small, tmp_path, change):
    settings = elsewhere(small, tmp_path)
    synthetic.load(settings)
    (path,) = tmp_path.rglob("set.npz")
    with np.load(path) as drawn:
        arrays = dict(drawn) | change
    assert len(arrays["image"]) == 900 or "image" in change
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    with pytest.raises(DataError, match=rf"^{path}: damaged \(.+\); remove the folder {path.parent}, the next"):
        synthetic.load(settings)


def test_a_damaged_image_is_named_though_its_reader_may_miss_it(small, tmp_path):
    settings = elsewhere(small, tmp_path)
    path = synthetic.load(settings).stimuli[1].path
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[-15] ^= 1  # in the checksum of the pixels, which no pixel depends on
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=rf"^{path}: missing or damaged; remove the folder {path.parent}, the next run"):
        synthetic.load(settings)
    path.write_bytes(whole)
    assert len(synthetic.load(settings).stimuli) == small.images


def test_nothing_is_drawn_beside_somebodys_own_data(small, tmp_path):
    """data.root=FOLDER with the default data set: its name was forgotten."""
    (tmp_path / "lab/stimuli").mkdir(parents=True)
    with pytest.raises(SettingError, match=f"lab holds stimuli, .* data=folder data.root={tmp_path}/lab"):
        synthetic.load(dataclasses.replace(small, root=str(tmp_path / "lab")))
    assert [path.name for path in (tmp_path / "lab").iterdir()] == ["stimuli"]
