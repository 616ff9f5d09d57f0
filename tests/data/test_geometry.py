from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from entreg.config import Data
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.data.geometry import ByDegree, Geometry, Photos, resize, shape_of
from entreg.errors import DataError

STRETCH, CROP = (Geometry(mode, long_side_px=128, short_side_px=96) for mode in ("stretch", "crop"))
# stored with 24 pixels for a degree, seen with 36
LARGER = ByDegree(24, 36)


def dataset(sizes, image, x, y, subject=None, folder=Path("nowhere")):
    stimuli = tuple(Stimulus(f"{i}.png", folder / f"{i}.png", h, w) for i, (h, w) in enumerate(sizes))
    fixations = Fixations(np.array(image), np.array(x, dtype=float), np.array(y, dtype=float), subject)
    return DataSet("test", stimuli, fixations, dropped={})


def test_landscapes_and_portraits_get_their_size_and_squares_count_as_portraits():
    assert STRETCH.size(600, 800) == (96, 128)
    assert STRETCH.size(800, 600) == (128, 96)
    assert STRETCH.size(500, 500) == (128, 96)


def test_stretch_is_pillows_bilinear_resize(rng):
    rgb = rng.integers(0, 256, (300, 410, 3), dtype=np.uint8)
    assert np.array_equal(STRETCH.image(rgb), np.array(Image.fromarray(rgb).resize((128, 96), Image.BILINEAR)))


@pytest.mark.parametrize("geometry", [STRETCH, CROP])
def test_an_image_of_that_size_is_left_alone(rng, geometry):
    rgb = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    assert np.array_equal(geometry.image(rgb), rgb)
    x, y = geometry.points(np.array([0, 127.9]), np.array([0, 95.9]), 96, 128)
    assert x.tolist() == [0, 127.9] and y.tolist() == [0, 95.9]


def test_stretched_fixations_scale_by_side():
    x, y = STRETCH.points(np.array([400.0]), np.array([150.0]), 600, 800)
    assert (x.item(), y.item()) == (64.0, 24.0)


def test_cropped_fixations_keep_the_aspect():
    # 400 x 150: scaled by 96 / 150 = 0.64 to 256 x 96, of which 64 are cut off at the left and at the right
    x, y = CROP.points(np.array([200.0, 100.0, 300.0]), np.array([75.0, 0.0, 150.0]), 150, 400)
    assert x.tolist() == pytest.approx([64, 0, 128])
    assert y.tolist() == pytest.approx([48, 0, 96])
    # a portrait of 96 x 256 becomes one of 96 x 128: 64 are cut off at the top and at the bottom
    x, y = CROP.points(np.array([10.0]), np.array([65.0]), 256, 96)
    assert (x.item(), y.item()) == pytest.approx((10, 1))


@pytest.mark.parametrize("geometry", [STRETCH, CROP, LARGER, ByDegree(35, 24)], ids=str)
@pytest.mark.parametrize("height, width", [(60, 100), (300, 260), (200, 200), (100, 301)])
def test_a_spot_and_the_fixation_on_it_go_to_the_same_place(geometry, height, width):
    """The spot's centre of mass in the resized image is where the fixation goes."""
    rgb = np.zeros((height, width, 3), np.uint8)
    row, column = height // 2 + 7, width // 2 - 9
    rgb[row - 4 : row + 5, column - 4 : column + 5] = 255  # centred on the pixel's centre
    x, y = geometry.points(np.array([column + 0.5]), np.array([row + 0.5]), height, width)
    resized = geometry.image(rgb)
    assert resized.shape == (*geometry.size(height, width), 3) and resized.dtype == np.uint8
    mass = resized[..., 0] / resized[..., 0].sum(dtype=float)
    assert mass.sum(0) @ (np.arange(mass.shape[1]) + 0.5) == pytest.approx(x.item(), abs=0.1)
    assert mass.sum(1) @ (np.arange(mass.shape[0]) + 0.5) == pytest.approx(y.item(), abs=0.1)


@pytest.mark.parametrize("geometry", [STRETCH, CROP, LARGER], ids=str)
@pytest.mark.parametrize("height, width", [(60, 100), (1023, 767), (97, 98)])
def test_points_go_there_and_back(rng, geometry, height, width):
    x, y = rng.uniform(0, width, 100), rng.uniform(0, height, 100)
    there_x, there_y = geometry.points(x, y, height, width)
    corners = geometry.points(np.array([0.0, width]), np.array([0.0, height]), height, width)
    scale_x, scale_y = (np.diff(c).item() / side for c, side in zip(corners, (width, height), strict=True))
    assert (there_x - corners[0][0]) / scale_x == pytest.approx(x)
    assert (there_y - corners[1][0]) / scale_y == pytest.approx(y)
    if geometry is CROP:
        assert scale_x == pytest.approx(scale_y)


def test_by_degree_every_image_keeps_its_shape(rng):
    assert [LARGER.size(*size) for size in ((600, 800), (101, 33), (1, 5000))] == [(900, 1200), (152, 50), (2, 7500)]
    x, y = LARGER.points(np.array([400.0]), np.array([150.0]), 600, 800)
    assert (x.item(), y.item()) == (600.0, 225.0)
    rgb = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    assert np.array_equal(ByDegree(24, 24).image(rgb), rgb) and LARGER.seen(37, 53) == (1, 1)
    assert LARGER.in_words() == "not stretched; 24 pixels per degree of visual angle, scaled by 1.500 to 36"
    assert ByDegree(24, 24).in_words() == "not stretched; 24 pixels per degree of visual angle, as stored"


def test_the_settings_say_the_shape():
    assert shape_of(Data(geometry="crop", long_side_px=128, short_side_px=96)) == CROP
    assert shape_of(Data(geometry="degrees", px_per_degree=24, model_px_per_degree=36)) == LARGER
    assert CROP.in_words() == "scaled to cover and cut to 128x96 (portraits 96x128)"
    # in the fingerprints of all stores that were ever built
    assert repr(STRETCH) == "Geometry(mode='stretch', long_side_px=128, short_side_px=96)"


def test_a_resized_data_set_knows_each_images_fixations():
    data = dataset([(192, 256), (10, 10), (256, 192)], [0, 0, 2], [4.5, 255.9, 3], [2, 191.9, 5], np.array([7, 8, 9]))
    resized = resize(data, STRETCH)
    assert resized.sizes == [(96, 128), (128, 96), (128, 96)]
    assert resized.counts.tolist() == [2, 0, 1]
    assert [[part.tolist() for part in resized.of(i).pixels] for i in range(3)] == [
        [[1, 95], [2, 127]],
        [[], []],
        [[2], [1]],
    ]
    assert resized.of(0).pixels[0].dtype == np.int64
    assert resized.fixations.subject.tolist() == [7, 8, 9]
    assert resized.n_outside == 0


def test_fixations_that_the_crop_cuts_off_are_dropped_and_counted():
    # 256 x 96 becomes 128 x 96: x below 64 and from 192 on is cut off
    data = dataset([(96, 256), (96, 128)], [0, 0, 0, 0, 1], [63.9, 64, 191.9, 192, 5], [1, 2, 3, 4, 5], np.arange(5))
    resized = resize(data, CROP)
    assert resized.n_outside == 2
    assert resized.fixations.x.tolist() == pytest.approx([0, 127.9, 5])
    assert resized.fixations.subject.tolist() == [1, 2, 4]
    assert resized.counts.tolist() == [2, 1]
    assert resize(data, STRETCH).n_outside == 0


def test_the_last_fixation_of_an_image_stays_inside_it(rng):
    sizes = [tuple(rng.integers(30, 2000, 2)) for _ in range(300)]
    x, y = ([np.nextafter(float(size[side]), 0) for size in sizes] for side in (1, 0))
    resized = resize(dataset(sizes, range(300), x, y), STRETCH)
    for i, (height, width) in enumerate(resized.sizes):
        rows, columns = resized.of(i).pixels
        assert np.all(rows < height) and np.all(columns < width)


def test_fixations_of_several_images_in_any_order():
    sizes, subjects = [(60, 100), (100, 60), (100, 100)], np.array([7, 8, 9, 7])
    data = dataset(sizes, [0, 0, 2, 2], [10, 20, 30, 40], [1, 2, 3, 4], subjects)
    resized = resize(data, STRETCH)
    pooled = resized.pooled([2, 1, 0])
    assert pooled.image.tolist() == [2, 2, 0, 0] and pooled.subject.tolist() == [9, 7, 7, 8]
    assert pooled.x.tolist() == [*resized.of(2).x, *resized.of(0).x]
    assert len(resized.pooled([])) == len(resized.of(1)) == 0
    assert [resized.rows(i) for i in range(3)] == [slice(0, 2), slice(2, 2), slice(2, 4)]
    heights, widths = resized.sides(pooled)
    assert heights.tolist() == [128, 128, 96, 96] and widths.tolist() == [96, 96, 128, 128]


def test_what_all_fixations_share_is_not_copied():
    """A set may have millions of them."""
    data = dataset([(60, 100), (100, 60)], [0, 0, 1], [10, 20, 30], [1, 2, 3], np.array([7, 8, 9]))
    resized = resize(data, STRETCH)
    assert resized.fixations.image is data.fixations.image and resized.fixations.subject is data.fixations.subject
    assert all(np.shares_memory(resized.pooled(items).x, resized.fixations.x) for items in ([0, 1], [1]))
    assert [resized.pooled(items).image.tolist() for items in ([0, 1], [1], [1, 0])] == [[0, 0, 1], [1], [1, 0, 0]]


def test_photos_are_known_by_content_and_geometry(tmp_path, rng):
    for name, rgb in (("a.png", 0), ("b.png", 0), ("c.png", 9)):
        Image.fromarray(np.full((60, 100, 3), rgb, np.uint8)).save(tmp_path / name)
    stimuli = tuple(Stimulus(name, tmp_path / name, 60, 100) for name in ("a.png", "b.png", "c.png"))
    nobody = Fixations(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    photos = Photos(resize(DataSet("photos", stimuli, nobody, {}), STRETCH), [0, 1, 2], ["aa", "aa", "cc"])
    assert photos.names == ["a.png", "b.png", "c.png"] and photos.sizes == [(96, 128)] * 3
    assert photos.contents[0] == photos.contents[1] != photos.contents[2]
    assert Photos(resize(DataSet("photos", stimuli, nobody, {}), CROP), [0], ["aa"]).contents[0] != photos.contents[0]
    assert photos.read(2).shape == (96, 128, 3) and np.all(photos.read(2) == 9)


def test_images_are_read_resized(tmp_path, rng):
    rgb = rng.integers(0, 256, (60, 100, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "0.png")
    resized = resize(dataset([(60, 100), (60, 100)], [0], [1], [1], folder=tmp_path), CROP)
    assert np.array_equal(resized.read(0), CROP.image(rgb))
    with pytest.raises(DataError, match="1.png is missing"):
        resized.read(1)
