"""Pictures of a data set: images with their fixations, centre bias, histograms, and how much each person looked."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from entreg.data.images import read_small_rgb
from entreg.errors import DataError
from entreg.report.panels import COLOURS, JPEG, MAP_COLOURS, RATIO, blank_panel
from entreg.report.pictures import Picture, picture_of
from entreg.study.look import Look

SIDE_PX, SHEET_SIDE_PX, GAP_PX, SHEET_COLUMNS = 400, 200, 4, 4
DOT_PX = 3  # radius of a fixation
BINS = 50  # of the histograms
GREY = (200, 200, 200)  # of an image that cannot be read


def examples(look: Look, after_each: Callable[[], object] = lambda: None) -> list[Picture]:
    """Draw each example with the fixations on it. after_each: called after each of them."""

    def draw(image: int) -> Picture:
        drawn, failure = _with_fixations(look, image, SIDE_PX)
        stimulus, count = look.dataset.stimuli[image], len(look.of(image))
        size = f"{stimulus.width_px} x {stimulus.height_px} px"
        alt = f"{stimulus.name}, {size}, with {count} fixation{'s' * (count != 1)}"
        alt += f" and {len(look.outside(image))} outside" * bool(len(look.outside(image)))
        title = f"{alt}. {failure}" if failure else alt
        after_each()
        return Picture(_jpeg(drawn), f"{alt}.", drawn.width, title)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(draw, look.examples))


def overview(look: Look) -> list[Picture]:
    """Draw four pictures: a sheet of the examples, and the first three of `distributions`."""
    return [sheet(look), *distributions(look)[:3]]


def sheet(look: Look) -> Picture:
    """Draw all examples on one sheet."""
    side = SHEET_SIDE_PX - GAP_PX
    with ThreadPoolExecutor() as pool:
        drawn = [image for image, _ in pool.map(lambda image: _with_fixations(look, image, side), look.examples)]
    rows = -(-len(drawn) // SHEET_COLUMNS)
    whole = Image.new("RGB", (SHEET_COLUMNS * SHEET_SIDE_PX, rows * SHEET_SIDE_PX), "white")
    for number, image in enumerate(drawn):
        row, column = divmod(number, SHEET_COLUMNS)
        whole.paste(image, (column * SHEET_SIDE_PX, row * SHEET_SIDE_PX))
    alt = f"{len(drawn)} images of {look.dataset.name} with their fixations."
    return Picture(_jpeg(whole), alt, whole.width, "images with their fixations")


def distributions(look: Look) -> list[Picture]:
    """Draw the centre bias, the histograms of x and y, and the fixations of each person (of each image if unknown).

    Where they are recorded, durations and positions in the trial follow.
    """
    x, y = look.shares
    centre = (
        f"their mean is {x.mean():.2f} of the width and {y.mean():.2f} of the height" if len(x) else "there are none"
    )
    people = look.by_person
    counts, what = (look.counts, "image") if people is None else (people, "person")
    recorded = (
        (look.fixations.duration_ms, "duration of a fixation, ms", "how long they lasted"),
        (look.fixations.order, "position in the trial, from 0", "when in the trial"),
    )
    further = [
        picture_of(
            _value_panel(values, label), f"Histogram of the {label}; its median is {np.median(values):g}.", title
        )
        for values, label, title in recorded
        if values is not None and len(values)
    ]
    return [
        picture_of(
            _center_bias_panel(look.center_bias), f"Density of the fixations in the image; {centre}.", "centre bias"
        ),
        picture_of(_position_panel(x, y), f"Histograms of the fixations' x and y; {centre}.", "where in the image"),
        picture_of(
            _person_panel(people) if people is not None else _image_panel(look.counts),
            f"Fixations of each {what}: {len(counts)} in all, between {counts.min()} and {counts.max()}.",
            f"fixations of each {what}",
        ),
        *further,
    ]


def _with_fixations(look: Look, image: int, side_px: int) -> tuple[Image.Image, str | None]:
    """Return a stimulus, made small, with its fixations drawn on it, and why it cannot be read, or None.

    Where some lie outside, they are drawn beside it, those that are far away at the border.

    side_px: the greatest length of a side
    """
    stimulus, outside = look.dataset.stimuli[image], look.outside(image)
    sides = np.array([stimulus.width_px, stimulus.height_px])
    corners = np.stack([np.append(outside.x, 0), np.append(outside.y, 0)])
    first = np.maximum(corners.min(1), -sides)
    last = np.maximum(sides, np.minimum(corners.max(1), 2 * sides))
    drawn, failure = _small(look, image, max(1, int(side_px * sides.max() / (last - first).max())))
    scale = np.array(drawn.size) / sides
    if len(outside):
        whole = Image.new("RGB", tuple(np.ceil((last - first) * scale).astype(int).tolist()), "white")
        whole.paste(drawn, tuple(np.round(-first * scale).astype(int).tolist()))
        drawn = whole
    for fixations, colour in ((look.of(image), COLOURS[4]), (outside, "red")):
        points = (np.stack([fixations.x, fixations.y], axis=1) - first) * scale
        for x, y in np.clip(points, 0, drawn.size).tolist():
            box = (x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX)
            ImageDraw.Draw(drawn).ellipse(box, fill=colour, outline="black")
    return drawn, failure


def _small(look: Look, image: int, side_px: int) -> tuple[Image.Image, str | None]:
    """Return a stimulus, made small, and None; or a grey one and why it cannot be read."""
    stimulus = look.dataset.stimuli[image]
    try:
        return Image.fromarray(read_small_rgb(stimulus.path, side_px)), None
    except DataError as error:
        longest = max(stimulus.width_px, stimulus.height_px)
        width, height = (max(1, side_px * px // longest) for px in (stimulus.width_px, stimulus.height_px))
        return Image.new("RGB", (width, height), GREY), str(error)


def _center_bias_panel(log_density: np.ndarray) -> Figure:
    """Draw a density (h, w; nats) as a ratio to the uniform density."""
    figure, axes = blank_panel(right=0.65)
    ratio = np.exp(log_density) * log_density.size
    aspect = log_density.shape[0] / log_density.shape[1]
    shown = axes.imshow(ratio, cmap=MAP_COLOURS, vmin=0, extent=(0, 1, 1, 0), aspect=aspect)
    axes.set(xlabel="x (share of the width)", ylabel="y (share of the height)")
    figure.colorbar(shown, ax=axes, label=RATIO, fraction=0.04)
    return figure


def _position_panel(x: np.ndarray, y: np.ndarray) -> Figure:
    """Draw the histograms of x and y, shares of the image's sides: (n,) each."""
    figure, axes = blank_panel()
    for values, label, colour in ((x, "x, from the left", COLOURS[0]), (y, "y, from the top", COLOURS[1])):
        axes.hist(values, bins=BINS, range=(0, 1), histtype="step", color=colour, linewidth=1.5, label=label)
    axes.set(xlabel="share of the image's side", ylabel="fixations", xlim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def _value_panel(values: np.ndarray, label: str) -> Figure:
    """Draw the histogram of what was recorded of each fixation, (n,), without the longest hundredth."""
    figure, axes = blank_panel()
    least, most = float(values.min()), max(float(np.quantile(values, 0.99)), float(values.min()) + 1)
    whole = np.arange(np.floor(least), np.ceil(most) + 2) - 0.5  # a bin for each number, where there are few
    axes.hist(values, bins=whole if len(whole) <= BINS else BINS, range=(least, most), color=COLOURS[0])
    axes.set(xlabel=label, ylabel="fixations")
    axes.grid(alpha=0.3, axis="y")
    return figure


def _person_panel(counts: np.ndarray) -> Figure:
    """Draw the number of fixations of each person."""
    figure, axes = blank_panel()
    axes.bar(np.arange(1, len(counts) + 1), counts, color=COLOURS[0])
    axes.set(xlabel="person, by number of fixations", ylabel="fixations")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3, axis="y")
    return figure


def _image_panel(counts: np.ndarray) -> Figure:
    """Draw how many images have how many fixations."""
    figure, axes = blank_panel()
    whole = np.arange(counts.min(), counts.max() + 2) - 0.5  # a bin for each number, where there are few
    axes.hist(counts, bins=whole if len(whole) <= BINS else BINS, color=COLOURS[0])
    axes.set(xlabel="fixations on an image", ylabel="images", xlim=(0, counts.max() + 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3, axis="y")
    return figure


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", **JPEG)
    return file.getvalue()
