import numpy as np
import pytest
from PIL import Image

from entreg.data.images import read_grey, read_rgb, size_of
from entreg.errors import DataError


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
