"""Maps of other models are read as they are written, and refused where they cannot be what they are taken for."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from entreg.data.dataset import Stimulus
from entreg.data.geometry import Geometry
from entreg.errors import DataError
from entreg.evaluation.other_maps import LOG_DENSITY, SALIENCY, UNIFORM_SHARE, OtherMaps

SIZE = (48, 64)  # (H, W), that of the model's images and of these
GEOMETRY = Geometry("stretch", SIZE[1], SIZE[0])
P = np.random.default_rng(1).dirichlet(np.ones(SIZE[0] * SIZE[1])).reshape(SIZE)


def stimulus(name: str = "a.png", size: tuple[int, int] = SIZE) -> Stimulus:
    return Stimulus(name, Path(name), *size)


def density(maps: OtherMaps, name: str, geometry: Geometry = GEOMETRY, size: tuple[int, int] = SIZE) -> np.ndarray:
    return maps.log_density(name, stimulus(), geometry, size).full()[0].exp().numpy()


def hdf5(path: Path, **maps: np.ndarray) -> OtherMaps:
    with h5py.File(path, "w") as file:
        for name, values in maps.items():
            file[name] = values
    return OtherMaps(path)


def folder(path: Path, name: str, values: np.ndarray) -> OtherMaps:
    path.mkdir()
    np.save(path / name, values)
    return OtherMaps(path)


def test_a_log_density_is_itself(tmp_path):
    maps = hdf5(tmp_path / "m.hdf5", **{"a.png": np.log(P)})
    np.testing.assert_allclose(density(maps, "a.png"), P, rtol=1e-5)
    assert maps.kinds == {LOG_DENSITY}


def test_a_saliency_map_is_a_density_in_proportion_to_its_values_with_a_uniform_share(tmp_path):
    """Half of it is 0: a fixation there has a finite log density."""
    values = np.zeros(SIZE)
    values[:, :32] = 7.0
    maps = folder(tmp_path / "maps", "a.npy", values)
    found = density(maps, "a.npy")
    pixels = SIZE[0] * SIZE[1]
    np.testing.assert_allclose(found[:, 40:], UNIFORM_SHARE / pixels, rtol=1e-5)
    np.testing.assert_allclose(found[:, :24], (1 - UNIFORM_SHARE) * 2 / pixels + UNIFORM_SHARE / pixels, rtol=1e-5)
    assert maps.kinds == {SALIENCY}


def test_a_constant_saliency_map_is_uniform(tmp_path):
    np.testing.assert_allclose(density(folder(tmp_path / "maps", "a.npy", np.zeros(SIZE)), "a.npy"), 1 / P.size)


def test_pictures_and_npz_are_read_by_their_images_names(tmp_path):
    values = (np.arange(P.size).reshape(SIZE) % 256).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.savez(tmp_path / "b.jpg.npz", log_density=np.log(P))
    (tmp_path / "deeper").mkdir()
    np.savez(tmp_path / "deeper/c.npz", anything=P)
    maps = OtherMaps(tmp_path)
    found = maps.of([stimulus("a.jpg"), stimulus("b.jpg"), stimulus("deeper/c.jpg"), stimulus("d.jpg")])
    assert found == {"a.jpg": "a.png", "b.jpg": "b.jpg.npz", "deeper/c.jpg": "deeper/c.npz"}
    np.testing.assert_allclose(density(maps, "b.jpg.npz"), P, rtol=1e-5)
    grey = density(maps, "a.png")
    share = (values / values.sum())[20, 30]
    assert grey[20, 30] == pytest.approx((1 - UNIFORM_SHARE) * share + UNIFORM_SHARE / P.size, rel=1e-4)


def test_data_sets_of_groups_are_found(tmp_path):
    maps = hdf5(tmp_path / "m.h5", **{"Action/001.jpg": np.log(P), "Art/001.jpg": np.log(P)})
    assert maps.of([stimulus("Art/001.jpg")]) == {"Art/001.jpg": "Art/001.jpg"}


def test_a_map_of_another_folder_is_not_taken_for_an_images_own(tmp_path):
    maps = hdf5(tmp_path / "m.h5", **{"Action/001.jpg": np.log(P), "Art/002.jpg": np.log(P)})
    assert maps.of([stimulus("Art/001.jpg")]) == {}
    assert maps.of([stimulus("002.jpg"), stimulus("stimuli/Action/001.png")]) == {
        "002.jpg": "Art/002.jpg",
        "stimuli/Action/001.png": "Action/001.jpg",
    }


def test_a_map_of_another_size_is_scaled_with_its_image(tmp_path):
    """A Gaussian on an image twice as large lies in the same place, as a density that sums to 1."""
    y, x = np.mgrid[0:96, 0:128]
    large = -((y - 30.0) ** 2 + (x - 90.0) ** 2) / 400
    large -= np.log(np.exp(large).sum())
    found = density(hdf5(tmp_path / "m.hdf5", a=large), "a")
    assert found.sum() == pytest.approx(1) and np.unravel_index(found.argmax(), SIZE) in [(14, 44), (15, 45), (15, 44)]
    assert found.max() == pytest.approx(4 * np.exp(large.max()), rel=0.02)


def test_a_map_is_cut_as_its_image_is(tmp_path):
    """Of an image of 48x96 pixels the model sees the 64 columns in the middle; a band of 4 stays where it was."""
    values = np.full((48, 96), 1.0)
    values[:, 46:50] = 100.0
    maps = folder(tmp_path / "maps", "a.npy", values)
    wide = stimulus(size=(48, 96))
    cut = maps.log_density("a.npy", wide, Geometry("crop", 64, 48), SIZE).full()[0].exp().numpy()
    assert cut.shape == SIZE and set(cut.argmax(1)) <= {30, 31, 32, 33}
    assert (cut[0] > 50 * cut[0, 0]).sum() == 4


@pytest.mark.parametrize(
    "values, said",
    [
        (np.log(P) + 3, r"neither a log density in nats, whose exponentials sum to 1 and not to exp\(3\), nor a"),
        (np.full(SIZE, math.nan), "must hold finite numbers in two dimensions"),
        (np.zeros((*SIZE, 3)), r"holds \(48, 64, 3\) values, and must hold"),
        (np.ones((64, 48)), r"is 48x64, and its image a.png 64x48: another shape"),
    ],
)
def test_what_can_be_no_map_is_refused_with_its_name(tmp_path, values, said):
    with pytest.raises(DataError, match=f"maps: a.npy: .*{said}"):
        density(folder(tmp_path / "maps", "a.npy", values), "a.npy")


def test_a_damaged_array_is_named(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"a\.npy: cannot be read as an array"):
        density(OtherMaps(tmp_path), "a.npy")


def test_where_there_are_no_maps_it_is_said(tmp_path):
    with pytest.raises(DataError, match="nowhere: is neither a folder nor an HDF5 file"):
        OtherMaps(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds no map"):
        OtherMaps(tmp_path / "empty")
