"""Copies of a photo are known for what they are, and other photos are not taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.generated import picture
from entreg.data.image_hashes import KnownHashes
from entreg.data.images import thumbnail
from entreg.data.leakage import NEAR_BITS, ImageHashes, matches, near_matches
from tests.evaluation.photos import PORTRAIT, SIZE

PHOTOS = 12


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    return [picture(folder / f"{i}.jpg", PORTRAIT if i % 4 == 3 else SIZE, i) for i in range(PHOTOS)]


def hashes(paths: list[Path]) -> ImageHashes:
    return KnownHashes().of(paths)


def thumbnails(paths: list[Path]) -> np.ndarray:
    return np.array([thumbnail(path) for path in paths])


@pytest.mark.parametrize(
    "save",
    [
        lambda image, path: image.save(path.with_suffix(".jpg"), quality=30),
        lambda image, path: image.save(path.with_suffix(".png")),
        lambda image, path: image.convert("L").save(path.with_suffix(".png")),
        lambda image, path: image.resize((image.width // 3, image.height // 3)).save(path.with_suffix(".jpg")),
        lambda image, path: image.resize((2 * image.width, 2 * image.height)).save(path.with_suffix(".jpg")),
        lambda image, path: image.resize((400, 300)).save(path.with_suffix(".png")),
    ],
    ids=["saved anew", "without loss", "in grey", "a third as large", "twice as large", "stretched"],
)
def test_copies_are_near_whatever_was_done_to_the_file(photos, tmp_path, save):
    copies = []
    for i in (2, 7):
        with Image.open(photos[i]) as image:
            save(image, tmp_path / f"copy {i}")
        copies += tmp_path.glob(f"copy {i}.*")
    assert near_matches(thumbnails(copies), thumbnails(photos)) == [2, 7]


def test_a_file_of_the_same_content_comes_before_one_that_only_looks_alike(photos, tmp_path):
    """Without loss in another format: the thumbnails are the same, and the first of the nearest would be named."""
    alike, copy = tmp_path / "alike.png", tmp_path / "copy.jpg"
    with Image.open(photos[2]) as image:
        image.save(alike)
    copy.write_bytes(photos[2].read_bytes())
    trained = hashes([photos[0], alike, photos[2]])
    assert near_matches(trained.thumbnails[2:], trained.thumbnails[:2]) == [1]
    assert matches(hashes([copy, alike, photos[7]]), trained) == [2, 1, None]


def test_other_photos_and_mirrored_ones_are_not_near(photos, tmp_path):
    with Image.open(photos[2]) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    others = [picture(tmp_path / f"{i}.jpg", SIZE, 100 + i) for i in range(20)]
    assert near_matches(thumbnails([*others, tmp_path / "mirrored.png"]), thumbnails(photos)) == [None] * 21


def test_a_photo_is_its_own_copy_and_no_others(photos):
    known = thumbnails(photos)
    assert near_matches(known, known) == list(range(PHOTOS))
    for i in range(PHOTOS):
        assert near_matches(known[i : i + 1], np.delete(known, i, axis=0)) == [None]


def test_the_nearest_one_counts_up_to_so_many_bits():
    """Stripes of one grey level more or less, on a ramp: neighbours change places, the correlation stays near 1."""
    ramp = np.tile(np.linspace(200, 20, 17).round(), (16, 1))
    for bits, expected in ((0, 1), (NEAR_BITS, 1), (NEAR_BITS + 1, None)):
        judged = ramp.copy()
        for k in range(bits):  # every second column of a row can be raised above its left neighbour
            row, column = k % 16, 1 + 2 * (k // 16)
            judged[row, column] = judged[row, column - 1] + 1
        assert ((judged[:, 1:] > judged[:, :-1]) != (ramp[:, 1:] > ramp[:, :-1])).sum() == bits
        assert np.corrcoef(judged.ravel(), ramp.ravel())[0, 1] > 0.97
        assert near_matches(judged[None], np.stack([ramp[:, ::-1], ramp])) == [expected]


def drawing(path: Path, draw) -> Path:
    image = Image.new("RGB", (512, 384), "white")
    draw(ImageDraw.Draw(image))
    image.save(path)
    return path


def test_drawings_on_white_are_told_apart(tmp_path):
    """Most places of both are white, so that their hashes differ by few bits."""
    box = (150, 100, 350, 300)
    drawings = [
        drawing(tmp_path / "disc.png", lambda d: d.ellipse(box, fill="black")),
        drawing(tmp_path / "square.png", lambda d: d.rectangle(box, fill="black")),
        drawing(tmp_path / "circle.png", lambda d: d.ellipse(box, outline="black", width=3)),
        drawing(tmp_path / "frame.png", lambda d: d.rectangle(box, outline="black", width=3)),
        drawing(tmp_path / "line.png", lambda d: d.line((50, 50, 450, 350), fill="black", width=4)),
    ]
    known = thumbnails(drawings)
    flat = known.astype(int)
    bits = [((a[:, 1:] > a[:, :-1]) != (b[:, 1:] > b[:, :-1])).sum() for a in flat for b in flat if a is not b]
    assert min(bits) < NEAR_BITS
    for i in range(len(drawings)):
        assert near_matches(known[i : i + 1], np.delete(known, i, axis=0)) == [None]
    with Image.open(drawings[2]) as image:
        image.resize((256, 192)).save(tmp_path / "copy.jpg", quality=60)
    assert near_matches(thumbnails([tmp_path / "copy.jpg"]), known) == [2]


def test_uniform_images_are_the_same_where_their_grey_is():
    grey = np.stack([np.full((16, 17), level) for level in (0, 128, 255)])
    assert near_matches(grey, grey) == [0, 1, 2]
    assert near_matches(grey[:1], grey[1:]) == [None]
