import numpy as np
import pytest
import torch
from PIL import Image

from entreg.data.images import read_grey, read_rgb, rgb_of, size_of
from entreg.errors import DataError, SettingError


def test_size_is_height_then_width_of_the_stored_pixels_whatever_exif_says(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    assert size_of(path) == (30, 40)
    assert read_rgb(path).shape == (30, 40, 3)


def test_rgb_comes_back_as_stored(tmp_path, rng):
    rgb = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    assert np.array_equal(read_rgb(tmp_path / "a.png"), rgb)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(path)
    assert np.array_equal(read_rgb(path), np.full((3, 4, 3), 255))


@pytest.mark.parametrize("read", [lambda path: read_rgb(path)[..., 0], read_grey])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, read):
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert read(tmp_path / "deep.png").tolist() == [[0, 1, 128, 255]]


def test_more_than_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.array([[70000]], dtype=np.int32)).save(tmp_path / "int.tif")
    Image.fromarray(np.array([[0.5]], dtype=np.float32)).save(tmp_path / "float.tif")
    for name in ("int.tif", "float.tif"):
        with pytest.raises(DataError, match=f"{name} cannot be read.*store it with 8 or 16 bits"):
            read_rgb(tmp_path / name)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_files_are_named(tmp_path, rng, suffix):
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert size_of(path) == (64, 64)
    with pytest.raises(DataError, match=f"cut.{suffix} cannot be read"):
        read_rgb(path)


@pytest.mark.parametrize("read", [size_of, read_rgb])
def test_what_is_no_image_or_not_there_is_named(tmp_path, read):
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(DataError, match="text.jpg cannot be read as an image"):
        read(tmp_path / "text.jpg")
    with pytest.raises(DataError, match="gone.jpg is missing"):
        read(tmp_path / "gone.jpg")


def test_pictures_in_the_hand_are_as_in_files(tmp_path, rng):
    rgb = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    alpha = np.dstack([rgb, rng.integers(0, 256, (6, 5), dtype=np.uint8)])
    for same in (rgb, alpha, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(rgb), Image.fromarray(alpha)):
        assert np.array_equal(rgb_of(same), rgb)
    grey = rgb[..., 0]
    for same in (grey, grey[..., None], np.dstack([grey, rgb[..., 1]]), Image.fromarray(grey)):
        assert np.array_equal(rgb_of(same), np.dstack([grey] * 3))
    deep = Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16))
    assert rgb_of(deep)[..., 0].tolist() == [[0, 1, 255]]


@pytest.mark.parametrize("image, said", [
    (np.zeros((9, 8, 3)), r"float64 \(of values in 0..1: \(array \* 255\).round\(\).astype\('uint8'\)\)"),
    (np.zeros((9, 8, 3), np.uint16), "as uint8, not uint16$"), (np.zeros((9, 8), bool), "as uint8, not bool$"),
    (np.zeros((3, 9, 8), np.uint8), r"channels first: array.transpose\(1, 2, 0\)"),
    (np.zeros((3, 9, 8), np.float32), "channels first"), (np.zeros((1, 9, 8), np.uint8), "channels first"),
    (np.zeros((2, 9, 8, 3), np.uint8), "several images: give a list"), (np.zeros(9, np.uint8), "no image"),
    (np.zeros((0, 8, 3), np.uint8), "no image"), (np.zeros((9, 8, 7), np.uint8), "no image"),
    (torch.zeros(9, 8, 3), r"not a Tensor \(of a tensor: tensor.cpu\(\).numpy\(\)\)"), (None, "not a NoneType$"),
], ids=range(12))
def test_what_is_no_picture_is_refused_with_what_to_do(image, said):
    with pytest.raises(SettingError, match=said):
        rgb_of(image)


def test_a_damaged_picture_in_the_hand_is_named(tmp_path, rng):
    path = tmp_path / "cut.png"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with Image.open(path) as image, pytest.raises(DataError, match=f"{path} cannot be read"):
        rgb_of(image)
