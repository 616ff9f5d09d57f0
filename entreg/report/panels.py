"""Draw panels of runs and comparisons, with units on the axes and colours that the colour-blind can tell apart.

The colours are viridis and those of Okabe and Ito.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator

from entreg.units import BITS_PER_NAT, uniform_log_density_nats

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
MAP_COLOURS = "viridis"
JPEG = {"quality": 90, "subsampling": 0}  # small dots keep their colours
RATIO = "density / uniform density"
IG_DIFFERENCE_LABEL = "IG difference to the baseline (bit/fixation)"
WIDTH, HEIGHT, BOTTOM = 4.8, 3.4, 0.55  # of a panel, and of the margin below its axes, inches
MOST_ASPECT = 5.0  # of the longer side of a picture to its shorter one
LOSS_PANELS = (
    (("train_nll_nats", "validation_nll_nats"), "NLL (nats/fixation)"),
    (("validation_ig_bits_per_fixation",), "validation IG over the\nGaussian prior (bit/fixation)"),
    (("bias_entropy_nats",), "bias map entropy (nats)"),
    (("lr",), "learning rate"),
)

Histories = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]  # by arm, for each seed, the rows of metrics.csv


class Mean(Protocol):
    """A mean with its 95 % interval over images and seeds, or over images alone, such as `Estimate`."""

    @property
    def mean(self) -> float:
        """The mean."""

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The ends of the interval over images and seeds."""

    @property
    def ci95_over_images(self) -> tuple[float, float] | None:
        """The ends of the interval over images alone."""


class Range(NamedTuple):
    """A mean over seeds with the range over seeds in place of an interval."""

    mean: float
    ci95: tuple[float, float] | None
    ci95_over_images: tuple[float, float] | None = None


Differences = Mapping[str, Mapping[str, Mean]]  # by domain (in words), then by arm


@dataclass(frozen=True)
class Prediction:
    """An image (H, W, 3), the log density predicted for it (H, W; nats), and the fixations on it (y, x; pixels).

    name: that of the image; title: that of the prediction
    """

    name: str
    title: str
    image: np.ndarray
    log_density: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @property
    def bits_over_uniform(self) -> np.ndarray:
        """The log2 of the density's ratio to the uniform density: (H, W)."""
        return (self.log_density - uniform_log_density_nats(self.log_density.shape)) * BITS_PER_NAT


# one figure for each panel, so that a page can arrange them for its reader's screen


def history_panel(histories: Histories, keys: Sequence[str], label: str) -> Figure:
    """Draw one quantity by epoch, or two, of which the first is dashed."""
    figure, axes = blank_panel(left=1.15)  # labels have two lines
    draw_history(axes, histories, keys, label)
    return figure


def bias_panel(log_density: np.ndarray, greatest: float | None) -> Figure:
    """Draw a bias map (H, W; nats) as a ratio to the uniform density.

    greatest: the end of the colour scale; None: the map's greatest ratio
    """
    figure = Figure(figsize=(4.8, 3.4))
    rows, columns = log_density.shape
    height = min(0.76, 0.68 * 4.8 / 3.4 * rows / columns)  # as a share of the figure, as all places here
    places = ((0.12, 0.68), (0.82, 0.03))  # left edge and width, of the map and of its colour bar
    axes, bar = (figure.add_axes((left, 0.52 - height / 2, width, height)) for left, width in places)
    entropy = -(np.exp(log_density) * log_density).sum()
    shown = draw_ratio(axes, log_density, greatest)
    axes.set_title(
        f"entropy {entropy:.3f} of at most {-uniform_log_density_nats(log_density.shape):.3f} nats", fontsize="medium"
    )
    figure.colorbar(shown, cax=bar, label=RATIO)
    return figure


def draw_ratio(axes: Any, log_density: np.ndarray, greatest: float | None) -> Any:
    """Draw a density (H, W; nats) as a ratio to the uniform density; return what a colour bar needs."""
    axes.set(xlabel="x (px)", ylabel="y (px)")
    return axes.imshow(np.exp(log_density) * log_density.size, cmap=MAP_COLOURS, vmin=0, vmax=greatest)


def greatest_ratio(maps: Iterable[np.ndarray]) -> float:
    """Return the greatest ratio to the uniform density of several densities: the end of their common colour scale."""
    return max(float(np.exp(log_density).max()) * log_density.size for log_density in maps)


def scatter_panel(baseline: np.ndarray, other: np.ndarray, names: tuple[str, str]) -> Figure:
    """Draw the baseline's IG of each image against another arm's, on equal axes with the line of equality."""
    figure, axes = blank_panel(height=4.2)
    both = np.concatenate([baseline, other])
    margin = 0.05 * (np.ptp(both) or 1)
    ends = both.min() - margin, both.max() + margin
    axes.plot(ends, ends, color="grey", linewidth=1)
    axes.scatter(baseline, other, s=18, color=COLOURS[0], alpha=0.7, edgecolors="white", linewidths=0.4)
    above = int((np.asarray(other) > np.asarray(baseline)).sum())
    axes.text(
        0.03,
        0.97,
        f"above the line: {above} of {len(other)} images",
        transform=axes.transAxes,
        va="top",
        fontsize="small",
    )
    axes.set(
        xlim=ends,
        ylim=ends,
        aspect="equal",
        xlabel=f"{names[0]}: IG (bit/fixation)",
        ylabel=f"{names[1]}: IG (bit/fixation)",
    )
    axes.grid(alpha=0.3)
    return figure


def difference_panel(differences: Differences, label: str = IG_DIFFERENCE_LABEL) -> Figure:
    """Draw mean differences to the baseline with their intervals, see `draw_differences`."""
    arms = arms_of(differences)
    legend = 0.15 + 0.2 * len(differences)
    figure, axes = blank_panel(BOTTOM + 0.4 + 0.45 * len(arms) + legend, _beside(map(_wrapped, arms)), top=legend)
    draw_differences(axes, differences, label)
    figure.legend(*axes.get_legend_handles_labels(), fontsize="small", loc="upper right")
    return figure


def draw_differences(axes: Any, differences: Differences, label: str = IG_DIFFERENCE_LABEL) -> None:
    """Draw mean differences to the baseline with their intervals, a row for each arm; label: what they are."""
    arms = arms_of(differences)
    axes.axvline(0, color="grey", linewidth=1)
    for i, (domain, cells) in enumerate(differences.items()):
        y = np.array([arms.index(arm) for arm in cells]) + (i - (len(differences) - 1) / 2) * 0.28
        _with_intervals(axes, list(cells.values()), y, i, domain, axis="x")
    axes.set(
        yticks=range(len(arms)),
        yticklabels=list(map(_wrapped, arms)),
        ylim=(len(arms) - 0.4, -0.6),
    )
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(label, loc="right")  # names take the room on the left
    axes.grid(alpha=0.3, axis="x")


def arms_of(differences: Differences) -> list[str]:
    """Return the arms of which there are differences, in their order."""
    return list(dict.fromkeys(arm for cells in differences.values() for arm in cells))


def waterfall_panel(parts: Mapping[str, Mean], total: Mean) -> Figure:
    """Draw the parts of an IG difference, see `draw_waterfall`."""
    names = [f"{name}\n{_in_numbers(cell)}" for name, cell in [*parts.items(), ("difference", total)]]
    figure, axes = blank_panel(1.2 + 0.5 * len(names), _beside([line for name in names for line in name.split("\n")]))
    draw_waterfall(axes, parts, total)
    axes.set_yticks(range(len(names)), names)  # a bar's own numbers, since it seldom begins at 0
    return figure


def _in_numbers(cell: Mean) -> str:
    interval = cell.ci95 or cell.ci95_over_images
    brackets = "" if interval is None else f" ({interval[0]:+.3f} to {interval[1]:+.3f})"
    return f"{cell.mean:+.3f}{brackets}".replace("-", "\N{MINUS SIGN}")


def draw_waterfall(axes: Any, parts: Mapping[str, Mean], total: Mean) -> None:
    """Draw the parts of an IG difference, each bar beginning where the one before ends, then the difference itself."""
    axes.axvline(0, color="grey", linewidth=1)
    start = 0.0
    for y, (name, cell) in enumerate([*parts.items(), ("difference", total)]):
        is_total = name == "difference"
        left, colour = (0.0, "#555555") if is_total else (start, COLOURS[0] if cell.mean >= 0 else COLOURS[1])
        axes.barh(y, cell.mean, left=left, height=0.55, color=colour, alpha=0.85)
        interval = cell.ci95 or cell.ci95_over_images
        if interval is not None:
            axes.plot([left + end for end in interval], [y, y], color="black", linewidth=1.2, marker="|", markersize=7)
        if not is_total:
            axes.plot([start + cell.mean] * 2, [y, y + 1], color="grey", linewidth=0.8, linestyle=":")
            start += cell.mean
    names = [*parts, "difference"]
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        ylim=(len(names) - 0.4, -0.6),
    )
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(IG_DIFFERENCE_LABEL, loc="right")  # names take the room on the left
    axes.grid(alpha=0.3, axis="x")


def lambda_panel(curves: Mapping[str, Mapping[float, Mean]], label: str) -> Figure:
    """Draw a quantity against lambda, on a symmetric logarithmic axis, since 0 is the baseline.

    curves: by name, then by lambda, the mean and its interval
    """
    figure, axes = blank_panel(left=1.15)
    values = sorted({value for curve in curves.values() for value in curve})
    axes.set_xscale("symlog", linthresh=min((value for value in values if value > 0), default=1), linscale=0.6)
    for i, (name, curve) in enumerate(curves.items()):
        at = sorted(curve)
        axes.plot(at, [curve[value].mean for value in at], color=COLOURS[i % len(COLOURS)], linewidth=1)
        _with_intervals(axes, [curve[value] for value in at], at, i, name, axis="y")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.set(xlabel="lambda (weight of the bias map's entropy; 0: baseline)", ylabel="\n(".join(label.rsplit(" (", 1)))
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(fontsize="small")
    return figure


def image_panel(example: Prediction) -> Figure:
    """Draw the image with the fixations on it."""
    figure, axes, _ = _map_panel(example)
    draw_image(axes, example)
    return figure


def density_panel(example: Prediction, scale: tuple[float, float]) -> Figure:
    """Draw a predicted density with the fixations. scale: that of the colours, shared by models (bit over uniform)."""
    figure, axes, bar = _map_panel(example)
    figure.colorbar(draw_density(axes, example, scale), cax=bar, label="bit over uniform")
    bar.set_axis_on()
    return figure


def over_photo_panel(example: Prediction, scale: tuple[float, float]) -> Figure:
    """Draw a predicted density over the image."""
    figure, axes, bar = _map_panel(example)
    axes.imshow(example.image)
    figure.colorbar(draw_density(axes, example, scale, alpha=0.6), cax=bar, label="bit over uniform")
    bar.set_axis_on()
    return figure


def scale_of(examples: Sequence[Prediction]) -> tuple[float, float]:
    """Return the ends of a common colour scale (bit over uniform), of which the lower is at least -8."""
    maps = [example.bits_over_uniform for example in examples]
    return max(min(float(bits.min()) for bits in maps), -8), max(float(bits.max()) for bits in maps)


def draw_history(axes: Any, histories: Histories, keys: Sequence[str], label: str) -> None:
    """Draw curves by epoch: a colour for each arm, a line for each seed; of two quantities the first is dashed."""
    many = len(histories) > 3  # then the legend names the arms alone, not the two quantities
    for i, (name, seeds) in enumerate(histories.items()):
        for key, style in zip(keys, ("--", "-") if len(keys) == 2 else ("-",), strict=True):
            kind = f", {key.split('_')[0]}" if len(keys) == 2 and not many else ""
            for number, rows in enumerate(seeds):
                axes.plot(
                    [row["epoch"] for row in rows],
                    [row[key] for row in rows],
                    style,
                    color=COLOURS[i % len(COLOURS)],
                    linewidth=1.5 if len(seeds) == 1 else 0.9,
                    marker="." if len(rows) < 3 else None,
                    label=None if number or many and style == "--" else f"{name}{kind}",
                )
    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small" if many else "small")
    if tuple(keys) == ("lr",):
        axes.set_yscale("log")


def draw_image(axes: Any, example: Prediction, dot_points: float = 6) -> None:
    """Draw the image with its fixations; dot_points: the area of a dot, square points."""
    axes.imshow(example.image)
    _draw_fixations(axes, example, dot_points)


def draw_density(
    axes: Any,
    example: Prediction,
    scale: tuple[float, float],
    alpha: float | None = None,
    dot_points: float = 6,
) -> Any:
    """Draw the predicted density, bit over uniform, with the fixations; return what a colour bar needs.

    scale: the ends of the colours, see `scale_of`; alpha: their opacity; dot_points: the area of a dot, square points
    """
    shown = axes.imshow(example.bits_over_uniform, cmap=MAP_COLOURS, vmin=scale[0], vmax=scale[1], alpha=alpha)
    _draw_fixations(axes, example, dot_points)
    return shown


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG, by default on white."""
    return _saved(figure, format="png")


def jpeg(figure: Figure) -> bytes:
    """Return the figure as a JPEG on white: with photos in it, a fifth of a PNG."""
    return _saved(figure, format="jpeg", pil_kwargs=JPEG)


def _saved(figure: Figure, **how: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=150, **how)
    return file.getvalue()


def _draw_fixations(axes: Any, example: Prediction, dot_points: float) -> None:
    """Draw the fixations, and hide the axes."""
    width = 0.4 * (dot_points / 6) ** 0.5
    axes.scatter(example.x, example.y, s=dot_points, c="white", edgecolors="black", linewidths=width)
    axes.set_axis_off()


def _with_intervals(axes: Any, cells: Sequence[Mean], at: Any, i: int, name: str, axis: str) -> None:
    """Draw means with their intervals.

    at: the positions on the other axis; i: the number of the series; axis: that of the means
    """
    means = [cell.mean for cell in cells]
    intervals = (cell.ci95 or cell.ci95_over_images or (cell.mean, cell.mean) for cell in cells)
    ends = np.array(list(intervals), dtype=float).T
    reach = np.maximum(0, [means - ends[0], ends[1] - means])
    x, y = (means, at) if axis == "x" else (at, means)
    axes.errorbar(
        x,
        y,
        **{f"{axis}err": reach},
        fmt=MARKERS[i % len(MARKERS)],
        markersize=5,
        capsize=3,
        color=COLOURS[i % len(COLOURS)],
        label=name,
    )


def blank_panel(height: float = HEIGHT, left: float = 0.9, right: float = 0.2, top: float = 0.25) -> tuple[Figure, Any]:
    """Make a figure with a single pair of axes; its height and the margins around the axes are in inches.

    To have matplotlib find the margins takes longer than to draw the panel.
    """
    figure = Figure(figsize=(WIDTH, height))
    width = WIDTH - left - right
    return figure, figure.add_axes((left / WIDTH, BOTTOM / height, width / WIDTH, (height - BOTTOM - top) / height))


def _beside(names: Iterable[str]) -> float:
    """Return the inches that names of several lines need on the left of the axes."""
    properties = FontProperties(size=rcParams["ytick.labelsize"])
    font, widest = get_font(findfont(properties)), 0.0
    font.set_size(properties.get_size_in_points(), 72)
    for line in "\n".join(names).splitlines():
        font.set_text(line)
        widest = max(widest, font.get_width_height()[0] / 64)  # in points, of which FreeType counts 64ths
    return 0.25 + widest / 72


def _map_panel(example: Prediction, height: float = 2.9) -> tuple[Figure, Any, Any]:
    """Make axes of the image's shape and, to their right, axes for a colour bar.

    The image and its densities thus lie in the same place of their figures. Of an image that is wider or higher than
    MOST_ASPECT allows, the axes are partly empty.
    """
    rows, columns = example.log_density.shape
    width = height * min(max(columns / rows, 1 / MOST_ASPECT), MOST_ASPECT)
    figure = Figure(figsize=(width + 0.9, height))
    axes = figure.add_axes((0, 0.02, width / (width + 0.9), 0.96))
    bar = figure.add_axes(((width + 0.12) / (width + 0.9), 0.06, 0.14 / (width + 0.9), 0.88))
    bar.set_axis_off()
    return figure, axes, bar


def _wrapped(name: str, width: int = 22) -> str:
    """Return the name in lines of at most `width` characters."""
    return "\n".join(name[i : i + width] for i in range(0, len(name), width))
