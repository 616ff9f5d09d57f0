"""A run as a module: the density that the fast path predicts, with gradients to the photos, and exported."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import entreg
from benchmarks.generated import picture
from entreg.data.images import read_rgb
from entreg.errors import SettingError
from entreg.model import published_weights
from tests.model import published_files

AT_TRAINING_SIZE = (144, 192), (192, 144)


@pytest.fixture
def trained(finished):
    return entreg.load(finished().path, device="cpu")


def photo_of(folder, size):
    """Return a picture of this size as an array and as a batch of one."""
    picture(folder / "photo.png", size, 3)
    rgb = read_rgb(folder / "photo.png")
    return rgb, torch.from_numpy(rgb).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("size", AT_TRAINING_SIZE)
@pytest.mark.parametrize("dtype, atol", [("float32", 1e-5), ("float16", 2e-3)])
def test_at_the_size_of_the_training_it_is_what_the_fast_path_predicts(finished, tmp_path, size, dtype, atol):
    """Which rounds features as the store does."""
    trained = entreg.load(finished(f"store.dtype={dtype}").path, device="cpu")
    rgb, photos = photo_of(tmp_path, size)
    expected, found = trained.log_density(rgb), trained.module(photos)
    assert found.shape == (1, *size) and found.dtype == torch.float32 and np.ptp(expected) > 1
    np.testing.assert_allclose(found[0], expected, atol=atol, rtol=0)


@pytest.mark.parametrize("size", [(120, 301), (230, 150), (90, 90)])
def test_other_sizes_are_stretched_without_rounding_colours_to_8_bits(trained, tmp_path, size):
    rgb, photos = photo_of(tmp_path, size)
    found = trained.module(photos)[0].double()
    assert found.shape == size and float(found.exp().sum()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found, trained.log_density(rgb), atol=3e-2, rtol=0)


def test_the_gradient_is_that_of_a_small_change_of_the_photo(trained):
    module, generator = trained.module.double(), torch.Generator().manual_seed(0)
    photos = torch.rand(2, 3, 60, 100, generator=generator, dtype=torch.float64) * 255
    direction = torch.randn(photos.shape, generator=generator, dtype=torch.float64)
    photos.requires_grad_()
    module(photos)[:, 20, 30].sum().backward()
    with torch.no_grad():
        ahead, behind = (module(photos + step * direction)[:, 20, 30].sum() for step in (1e-4, -1e-4))
    slope = float((ahead - behind) / 2e-4)
    assert abs(slope) > 1e-6 and float((photos.grad * direction).sum()) == pytest.approx(slope, rel=1e-3)
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_images_of_a_batch_do_not_depend_on_each_other(trained):
    photos = torch.rand(3, 3, 80, 110, generator=torch.Generator().manual_seed(0)) * 255
    together = trained.module(photos)
    for number in range(3):
        torch.testing.assert_close(together[number], trained.module(photos[number : number + 1])[0], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch warns of its own parts
def test_an_export_takes_batches_and_sizes_of_any_number(trained, tmp_path):
    dynamic = torch.export.Dim.DYNAMIC
    example = torch.rand(2, 3, 70, 100) * 255
    program = torch.export.export(trained.module, (example,), dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},))
    torch.export.save(program, tmp_path / "model.pt2")
    exported = torch.export.load(tmp_path / "model.pt2").module()
    for shape in ((1, 3, 64, 200), (3, 3, 130, 90), (2, 3, 80, 80), (4, 3, 70, 100)):
        photos = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 255
        torch.testing.assert_close(exported(photos), trained.module(photos), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "photos", [torch.zeros(3, 60, 80), torch.zeros(1, 60, 80, 3), torch.zeros(1, 3, 60, 80, dtype=torch.uint8)]
)
def test_photos_of_another_form_are_refused(trained, photos):
    with pytest.raises(SettingError, match=r"^photos are float tensors \(B, 3, H, W\), RGB, 0..255, not torch\.\w+ \("):
        trained.module(photos)


def test_a_run_that_keeps_shapes_has_no_module(finished):
    run = finished("data.geometry=degrees", "data.px_per_degree=35").path
    with pytest.raises(SettingError, match="data.geometry=degrees, under which each shape of image has a model of its"):
        entreg.load(run, device="cpu").module  # noqa: B018  # asking for it raises


@pytest.mark.slow
def test_a_published_file_loads_the_same_way(tmp_path, monkeypatch):
    """One of two components, which takes less time than thirty."""
    monkeypatch.setattr(published_weights, "IIE", dataclasses.replace(published_weights.IIE, components=2))
    file = tmp_path / "deepgaze2e.pth"
    torch.save(published_files.iie(published_files.densenet(), components=2), file)
    with pytest.raises(SettingError, match="a published file holds no centre bias; choose center_bias='gaussian'"):
        entreg.load(file, device="cpu")
    model = entreg.load(file, device="cpu", center_bias="uniform")
    rgb, photos = photo_of(tmp_path, (768, 1024))
    with torch.no_grad():
        found = model.module(photos)[0]
    expected = model.log_density(rgb)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=3e-5, rtol=0)  # sums over 50 million features


def test_a_run_s_own_centre_bias_is_not_replaced(finished):
    with pytest.raises(SettingError, match="center_bias=uniform: a finished run has its own"):
        entreg.load(finished().path, center_bias="uniform")
