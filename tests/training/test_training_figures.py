"""The pictures of a run: whole files, sizes that fit a page, and what they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from entreg.report.panels import Prediction
from entreg.training import training_figures

pytestmark = pytest.mark.painted

ROWS = [
    {
        "epoch": epoch,
        "lr": 0.1**epoch,
        "train_nll_nats": 12.0 - epoch,
        "validation_nll_nats": 12.5 - epoch,
        "validation_ig_bits_per_fixation": 0.5 * epoch,
        "bias_entropy_nats": 9.0 + epoch,
    }
    for epoch in (1, 2, 3)
]
# the upper half of 32 x 32 pixels has three quarters of the mass
HALVES = np.repeat(np.log([0.75 / 512, 0.25 / 512]), 16)[:, None].repeat(32, 1)


def example(name: str) -> Prediction:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    return Prediction(name, "1.25 bit/fixation", image, HALVES, np.array([3, 20]), np.array([10, 12]))


DRAWN = {
    "loss_curves": (lambda path: training_figures.loss_curves(path, {"nll": ROWS}), (1100, 660)),
    "bias_map": (lambda path: training_figures.bias_map(path, HALVES), (528, 374)),
    "predictions": (lambda path: training_figures.predictions(path, [example("a.png"), example("b.png")]), (990, 748)),
}


@pytest.fixture
def saved(monkeypatch) -> list[Figure]:
    """The figures that are saved, in place of files."""
    caught: list[Figure] = []
    monkeypatch.setattr(training_figures, "_save", lambda figure, path: caught.append(figure))
    return caught


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_a_whole_png_of_the_size_of_a_screen(tmp_path, name):
    draw, size = DRAWN[name]
    path = tmp_path / f"figures/{name}.png"
    draw(path)
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.size == size
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # there is something on it
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_that_fails_half_way_leaves_the_one_before(tmp_path, monkeypatch, name):
    path = tmp_path / f"{name}.png"
    path.write_bytes(b"the one before")

    def fails(figure, file, **how) -> None:
        file.write(b"half of it")
        raise ValueError("cannot be drawn")

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(ValueError, match="cannot be drawn"):
        DRAWN[name][0](path)
    assert path.read_bytes() == b"the one before" and list(tmp_path.iterdir()) == [path]


def test_the_title_of_the_bias_map_states_its_entropy(saved):
    """3/4 and 1/4 of the mass, each spread over 512 pixels."""
    training_figures.bias_map(Path("bias_map.png"), HALVES)
    training_figures.bias_map(Path("bias_map.png"), np.full((32, 32), -math.log(1024)))
    entropy = math.log(512) - 0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert [figure.axes[0].get_title() for figure in saved] == [
        f"entropy {entropy:.3f} of at most 6.931 nats",
        "entropy 6.931 of at most 6.931 nats",
    ]


def test_the_bias_map_is_shown_as_the_ratio_to_the_uniform_density(saved):
    training_figures.bias_map(Path("bias_map.png"), HALVES)
    shown = saved[0].axes[0].images[0].get_array()
    np.testing.assert_allclose(shown[[0, 31], 0], [1.5, 0.5])


def test_the_curves_are_the_rows_by_epoch(saved):
    training_figures.loss_curves(Path("loss_curves.png"), {"nll": ROWS})
    nll, ig, entropy, lr = saved[0].axes
    assert [line.get_ydata().tolist() for line in nll.lines] == [[11, 10, 9], [11.5, 10.5, 9.5]]
    assert [axes.lines[0].get_ydata().tolist() for axes in (ig, entropy)] == [[0.5, 1, 1.5], [10, 11, 12]]
    assert lr.lines[0].get_ydata().tolist() == [row["lr"] for row in ROWS]
    assert all(axes.lines[0].get_xdata().tolist() == [1, 2, 3] for axes in saved[0].axes)


def test_an_image_is_named_beside_what_is_predicted_for_it(saved):
    """Dollars in a file's name are no formula."""
    training_figures.predictions(Path("predictions.png"), [example("a.png"), example("$b_1$.png")])
    *pictures, bar = saved[0].axes
    images, densities = pictures[::2], pictures[1::2]
    assert [axes.get_title() for axes in images] == ["a.png: 1.25 bit/fixation", "$b_1$.png: 1.25 bit/fixation"]
    assert not images[1].title.get_parse_math() and bar.get_ylabel() == "bit over uniform"
    assert len({axes.images[0].get_clim() for axes in densities}) == 1  # the bar is that of all
    for axes in [*images, *densities]:  # the fixations
        assert axes.collections[0].get_offsets().tolist() == [[10, 3], [12, 20]]
