"""Log densities as files, and the names under which pysaliency looks for them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.special import logsumexp

from entreg.errors import DataError
from entreg.prediction import map_files


@pytest.fixture
def log_density():
    values = np.random.default_rng(0).normal(size=(300, 400))
    return values - logsumexp(values)


def test_a_map_comes_back_rounded_to_float32(tmp_path, log_density):
    path = tmp_path / "sub/a.npz"
    map_files.write(path, log_density, "of this")
    assert np.array_equal(map_files.read(path), log_density.astype(np.float32))
    assert np.array_equal(map_files.read_if_current(path, "of this"), log_density.astype(np.float32))
    assert (
        map_files.read_if_current(path, "of that") is None
        and map_files.read_if_current(tmp_path / "gone.npz", "of this") is None
    )
    path.write_bytes(path.read_bytes()[:1000])
    assert map_files.read_if_current(path, "of this") is None
    with pytest.raises(DataError, match=f"{path}: damaged .*; remove it"):
        map_files.read(path)


def test_a_map_of_before_formats_is_read_and_one_of_another_is_made_anew(tmp_path, log_density):
    path, values = tmp_path / "a.npz", log_density.astype(np.float32)
    np.savez_compressed(path, log_density=values, made_from=np.array("of this"))
    assert np.array_equal(map_files.read_if_current(path, "of this"), values)
    for wrong in ({"format": np.array(2)}, {"log_density": values[0]}, {"log_density": values.astype(np.float64)}):
        np.savez_compressed(path, **({"log_density": values, "made_from": np.array("of this")} | wrong))
        assert map_files.read_if_current(path, "of this") is None
        with pytest.raises(DataError, match=f"{path}: damaged .*(format 2|shape .*float32|float64)"):
            map_files.read(path)


def test_one_file_for_the_benchmark(tmp_path, log_density):
    names = ["x/below/a.jpg", "x/b.jpg"]
    places = {name: tmp_path / f"{number}.npz" for number, name in enumerate(names)}
    for place in places.values():
        map_files.write(place, log_density, "")
    map_files.write_hdf5(tmp_path / "all.hdf5", places, map_files.shortest(names))
    with h5py.File(tmp_path / "all.hdf5") as file:
        assert file.attrs["type"] == "pysaliency.precomputed_models.predictions" and file.attrs["version"] == "1.0"
        assert sorted(file) == ["b.jpg", "below"]
        for key in ("b.jpg", "below/a.jpg"):
            found = file[key][:]
            assert found.shape == log_density.shape and abs(logsumexp(found.astype(np.float64))) < 0.001
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.npz", "1.npz", "all.hdf5"]


@pytest.mark.parametrize(
    "names, keys",
    [
        (["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"]),
        (["x/y/a.jpg", "x/y/b.jpg"], ["a.jpg", "b.jpg"]),
        (["x/a/1.jpg", "x/b/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["x/a.jpg"], ["a.jpg"]),
        (["x/a", "x/b/a"], ["a", "b/a"]),
        (["a.jpg", "a.jpg/b.png"], ["a.jpg", "a.jpg/b.png"]),
        ([], []),
    ],
)
def test_keys_are_the_names_without_what_all_share(names, keys):
    assert list(map_files.shortest(names).values()) == keys
