import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from entreg.data import images
from entreg.data.images import (
    MOST_PIXELS,
    eight_bit_as_in_files,
    read_grey,
    read_rgb,
    read_small_rgb,
    rgb_of,
    size_of,
    thumbnail,
)
from entreg.errors import DataError, SettingError
from tests.conftest import ROOT


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


@pytest.mark.parametrize("read", [size_of, read_rgb, read_grey, thumbnail])
@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "it is empty"),
        (b"not an image", "its format is none of BMP, GIF, JPEG"),
        # Pillow would have another program, Ghostscript, run what such a file says
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", "its format is none of BMP, GIF, JPEG"),
    ],
    ids=["empty", "text", "EPS"],
)
def test_what_is_no_image_says_the_way_out(tmp_path, read, content, said):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.png")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.png'} cannot be read as an image: {said}")
    assert message.endswith("; get the file again, or leave it out of the data set")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png is not a file; put the image there$"):
        read_rgb(tmp_path / "a.png")


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A grey PNG whose header says this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.mark.parametrize("read", [size_of, read_rgb, thumbnail])
@pytest.mark.parametrize("side", [9460, 20_000, 60_000], ids=["Pillow warns", "Pillow refuses", "far more"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_that_would_fill_the_memory_is_refused(tmp_path, read, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, b""))
    with pytest.raises(DataError, match=r"bomb.png .* more than 89,478,485 pixels; store it smaller"):
        read(tmp_path / "bomb.png")


def test_the_largest_that_is_read_has_most_pixels(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(png(MOST_PIXELS // 5, 5, b""))
    assert size_of(path) == (5, MOST_PIXELS // 5)


def test_an_image_20000_pixels_wide_is_read(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(png(20_000, 2, (b"\0" + bytes(range(250)) * 80) * 2))
    found = read_rgb(path)
    assert found.shape == (2, 20_000, 3) and found[1, :250, 2].tolist() == list(range(250))
    assert thumbnail(path).shape == (16, 17)


@pytest.mark.parametrize("size, small", [((1000, 500), (64, 32)), ((30, 60), (30, 60)), ((2000, 1), (64, 1))], ids=str)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_picture_is_made_small_in_its_shape(tmp_path, size, small, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", size, (10, 100, 200)).save(path, quality=100)
    found = read_small_rgb(path, 64)
    assert found.shape == (small[1], small[0], 3)
    np.testing.assert_allclose(found.reshape(-1, 3).mean(0), (10, 100, 200), atol=3)


def test_an_image_of_one_pixel_is_read(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "one.png")
    assert read_rgb(tmp_path / "one.png").tolist() == [[[1, 2, 3]]]
    assert np.all(thumbnail(tmp_path / "one.png") == 2)


def test_an_image_without_pixels_is_refused(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "none.bmp")
    content = bytearray((tmp_path / "none.bmp").read_bytes())
    content[18:22] = bytes(4)  # its width
    (tmp_path / "none.bmp").write_bytes(content)
    with pytest.raises(DataError, match="none.bmp cannot be read as an image: "):
        size_of(tmp_path / "none.bmp")


@pytest.mark.parametrize("suffix", ["gif", "tif", "png"])
def test_of_several_pictures_the_first_is_read(tmp_path, suffix):
    path = tmp_path / f"several.{suffix}"
    Image.new("L", (5, 4), 10).save(path, save_all=True, append_images=[Image.new("L", (5, 4), 200)])
    assert size_of(path) == (4, 5)
    assert np.array_equal(read_rgb(path), np.full((4, 5, 3), 10))


def test_a_tiff_to_be_shown_turned_is_refused_since_only_some_versions_of_pillow_turn_it(tmp_path):
    path = tmp_path / "turned.tif"
    Image.new("RGB", (40, 30)).save(path, tiffinfo={0x0112: 6})
    for read in (size_of, read_rgb):
        with pytest.raises(DataError, match="turned.tif .* TIFF with an orientation; store it upright"):
            read(path)
    Image.new("RGB", (40, 30)).save(path, tiffinfo={0x0112: 1})
    assert size_of(path) == read_rgb(path).shape[:2] == (30, 40)


@pytest.mark.parametrize(
    "mode, opaque, clear",
    [
        ("LA", (9, 255), (9, 254)),
        ("RGBA", (9, 9, 9, 255), (9, 9, 9, 0)),
        ("P", 9, 8),
        ("L", 9, 8),  # here the colour 8 counts as transparent
    ],
)
def test_alpha_is_left_out_where_all_is_opaque_and_else_refused(tmp_path, mode, opaque, clear):
    path = tmp_path / "a.png"
    image, more = Image.new(mode, (3, 2), opaque), {"transparency": 8} if mode in ("P", "L") else {}
    if mode == "P":
        image.putpalette([i // 3 for i in range(768)])
    image.save(path, **more)
    assert np.all(read_rgb(path) == 9)
    image.putpixel((2, 1), clear)
    image.save(path, **more)
    for read in (read_rgb, read_grey):
        with pytest.raises(DataError, match="a.png .* some of its pixels are transparent; store it as it was shown"):
            read(path)


def test_sixteen_bit_colours_are_their_upper_byte(tmp_path):
    path = tmp_path / "deep.png"
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    content = png(2, 1, b"\0" + struct.pack(">6H", 0, 255, 256, 0x8000, 0x80FF, 65535))
    start = content.index(b"IHDR") + 4
    content = content[:start] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[start + 17 :]
    path.write_bytes(content)
    assert read_rgb(path).tolist() == [[[0, 0, 1], [128, 128, 255]]]


def test_sixteen_bits_that_another_program_has_read_are_as_in_files():
    grey = np.array([[0, 257, 65535]], dtype=np.uint16)
    assert eight_bit_as_in_files(grey).tolist() == [[0, 1, 255]]
    colours = np.array([[[0, 255, 256], [0x8000, 0x80FF, 65535]]], dtype=np.uint16)
    assert eight_bit_as_in_files(colours).tolist() == [[[0, 0, 1], [128, 128, 255]]]
    assert eight_bit_as_in_files(colours).dtype == np.uint8
    same = np.zeros((2, 2), np.uint8)
    assert eight_bit_as_in_files(same) is same


def test_pictures_in_the_hand_are_as_in_files(tmp_path, rng):
    rgb = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    opaque = np.full((6, 5), 255, dtype=np.uint8)
    alpha = np.dstack([rgb, opaque])
    for same in (rgb, alpha, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(rgb), Image.fromarray(alpha)):
        assert np.array_equal(rgb_of(same), rgb)
    grey = rgb[..., 0]
    for same in (grey, grey[..., None], np.dstack([grey, opaque]), Image.fromarray(grey)):
        assert np.array_equal(rgb_of(same), np.dstack([grey] * 3))
    deep = Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16))
    assert rgb_of(deep)[..., 0].tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    "image, said",
    [
        (np.zeros((9, 8, 3)), r"float64 \(for values in 0..1: \(array \* 255\).round\(\).astype\('uint8'\)\)"),
        (np.zeros((9, 8, 3), np.uint16), "as uint8, not uint16$"),
        (np.zeros((9, 8), bool), "as uint8, not bool$"),
        (np.zeros((3, 9, 8), np.uint8), r"channels first: array.transpose\(1, 2, 0\)"),
        (np.zeros((3, 9, 8), np.float32), "channels first"),
        (np.zeros((1, 9, 8), np.uint8), "channels first"),
        (np.zeros((2, 9, 8, 3), np.uint8), "several images: give a list"),
        (np.zeros(9, np.uint8), "not an image"),
        (np.zeros((0, 8, 3), np.uint8), "not an image"),
        (np.zeros((9, 8, 7), np.uint8), "not an image"),
        (np.zeros((9, 8, 4), np.uint8), "transparent pixels: put the image onto"),
        (torch.zeros(9, 8, 3), r"not a Tensor \(for a tensor: tensor.cpu\(\).numpy\(\)\)"),
        (None, "not a NoneType$"),
    ],
    ids=range(13),
)
def test_what_is_no_picture_is_refused_with_what_to_do(image, said):
    with pytest.raises(SettingError, match=said):
        rgb_of(image)


def test_a_damaged_picture_in_the_hand_is_named(tmp_path, rng):
    path = tmp_path / "cut.png"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with Image.open(path) as image, pytest.raises(DataError, match=f"{path} cannot be read"):
        rgb_of(image)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux says how much memory was used")
def test_reading_takes_at_most_eight_bytes_a_pixel(tmp_path):
    """9 million 16-bit greys; the process had asked for 25 bytes a pixel."""
    Image.fromarray(np.full((3000, 3000), 257, np.uint16)).save(tmp_path / "a.png", compress_level=1)
    code = (
        "import re, sys; from pathlib import Path; from entreg.data.images import read_rgb\n"
        "used = lambda: 1024 * int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = used(); pixels = read_rgb(Path(sys.argv[1])); print((used() - before) / 9e6, pixels.mean())"
    )
    done = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path / "a.png")), cwd=ROOT, capture_output=True, text=True
    )
    bytes_a_pixel, mean = map(float, done.stdout.split())
    assert 3 <= bytes_a_pixel <= 8 and mean == 1


def test_strips_are_the_image(tmp_path, monkeypatch):
    """A palette image, cut into strips of 7 rows, the last of which is shorter."""
    whole = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    Image.fromarray(whole).quantize(16).save(tmp_path / "a.png")
    expected = np.array(Image.open(tmp_path / "a.png").convert("RGB"))
    monkeypatch.setattr(images, "STRIP_PIXELS", 140)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), expected)
