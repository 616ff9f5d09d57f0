"""Every loader, and the images that it finds, read from damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from entreg.data.geometry import Geometry, resize
from entreg.data.images import read_grey, read_rgb, size_of, thumbnail
from tests.fuzz.driver import outcome, tried
from tests.fuzz.mutations import WORDS, damaged
from tests.fuzz.sources import RARER, SOURCES, Source, write_pictures

Drive = Callable[..., None]


def read_whole(source: Source, settings: Any) -> list[Any]:
    """What a study reads of a data set: sizes, fixations and pixels, each tested for what is known of it."""
    data = source.load(settings)
    fixations, sizes = data.fixations, np.array([(s.height_px, s.width_px) for s in data.stimuli])
    assert len(data.stimuli) and sizes.min() > 0 and len(fixations.x) == len(fixations.y) == len(fixations.image)
    assert np.all(np.diff(fixations.image) >= 0)
    if len(fixations):
        height, width = sizes[fixations.image].T
        assert np.all((fixations.x >= 0) & (fixations.x < width) & (fixations.y >= 0) & (fixations.y < height))
    assert fixations.subject is None or len(fixations.subject) == len(fixations)
    resized = resize(data, Geometry("stretch", 40, 32))
    images = [resized.read(i) for i in range(len(data.stimuli))]
    assert all(image.shape[:2] == size for image, size in zip(images, resized.sizes, strict=True))
    return [fixations.x, fixations.y, resized.fixations.x, resized.fixations.y, *images, list(data.dropped.values())]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *((name, 30 if name in RARER else 70) for name in SOURCES),
        *(pytest.param(name, 1000, marks=pytest.mark.slow) for name in SOURCES),
    ],
)
def test_a_data_set_with_a_damaged_file(tmp_path: Path, drive: Drive, name: str, count: int) -> None:
    source = SOURCES[name]
    settings = source.write(tmp_path)
    places = [path for pattern in source.files for path in sorted(tmp_path.glob(pattern))]
    whole = {path: path.read_bytes() for path in places}
    texts = {path for pattern in source.text for path in tmp_path.glob(pattern)}
    assert outcome(lambda: read_whole(source, settings)) == "read"

    def check(case: tuple[Path, bytes]) -> str:
        path, content = case
        path.write_bytes(content)
        try:
            return outcome(lambda: read_whole(source, settings), str(tmp_path), settings.name)
        finally:
            path.write_bytes(whole[path])

    one = st.sampled_from(places).flatmap(lambda path: st.tuples(st.just(path), damaged(whole[path], path in texts)))
    drive(count, one, check)


@tried(250, 3000)
def test_a_damaged_image(tmp_path: Path, drive: Drive, count: int) -> None:
    write_pictures(tmp_path / "pictures")
    whole = [path.read_bytes() for path in sorted((tmp_path / "pictures").iterdir())]
    path = tmp_path / "image"

    def read() -> list[np.ndarray]:
        height, width = size_of(path)
        rgb = read_rgb(path)
        assert rgb.shape == (height, width, 3) and rgb.dtype == np.uint8
        assert read_grey(path).shape == (height, width)
        small = thumbnail(path)
        assert small.shape == (16, 17)
        return [rgb[:9], small]

    def check(content: bytes) -> str:
        path.write_bytes(content)
        return outcome(read, str(path))

    drive(count, st.sampled_from(whole).flatmap(damaged), check)


CELLS = st.one_of(
    st.sampled_from(["a.png", "b.jpg", "c.bmp", "S1", "0", "1", "12.5", "39.9", "40", "-1", "nan", "inf", "", "x"]),
    st.sampled_from([word.decode("latin-1") for word in WORDS]),
    st.floats().map(repr),
    st.integers().map(str),
    st.text(),
)


@tried(250, 2000)
def test_a_table_of_anything(tmp_path: Path, drive: Drive, count: int) -> None:
    """Not a valid one damaged, but cells put together, in any encoding."""
    source = SOURCES["folder"]
    settings = source.write(tmp_path)
    header = st.one_of(
        st.just(["image", "subject", "order", "x", "y"]),
        st.permutations(["image", "x", "y", "order"]),
        st.lists(st.sampled_from(["image", "x", "y", "subject", "order", "note", "X", ""]), max_size=7),
    )
    likely = {
        "image": st.sampled_from(["a.png", "b.jpg"]),
        "x": st.sampled_from(["1", "39.5", "40", " 7"]),
        "y": st.sampled_from(["1", "29.5", "30", "7 "]),
        "order": st.sampled_from(["0", "1", "2.0"]),
    }

    @st.composite
    def tables(draw: st.DrawFn) -> bytes:
        names = draw(header)
        rows = draw(st.lists(st.tuples(*(likely.get(name, CELLS) for name in names)), max_size=6))
        if rows and draw(st.booleans()):  # one wrong cell, or one of all kinds
            at, column = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, max(0, len(names) - 1)))
            rows[at] = (*rows[at][:column], draw(CELLS), *rows[at][column + 1 :])
        mark = draw(st.sampled_from((",", ",", ",", ";", "\t")))
        text = draw(st.sampled_from(("\n", "\r\n", "\r"))).join(mark.join(row) for row in [names, *rows])
        encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32")))
        return text.encode(encoding, errors="replace")

    def check(content: bytes) -> str:
        (tmp_path / "fixations.csv").write_bytes(content)
        return outcome(lambda: read_whole(source, settings), str(tmp_path))

    drive(count, tables(), check)
