"""Whether x and y count in pixels of the stored image from its top left corner, or in another frame.

Nearly all points of a real set lie inside their images: all of them in OSIE, SCENE50, CROWD100 and ETOCVD. In a frame
that is not theirs many do not, and another frame brings them back. Frames that keep the image's box cannot be told from
it, and nothing is claimed of them: y from the bottom, mirrored x, and on square images swapped axes and quarter turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from entreg.data.plausibility.chance import more_than
from entreg.data.plausibility.finding import CENTRE, Finding
from entreg.data.plausibility.points import Points

# Share of points outside their images that needs no explanation. Drift, and looks past a border that was shown with
# something around it, take a few percent out; OSIE counted on its screen would have 6.9 % outside, and swapped 14.8 %.
MOST_OUTSIDE = 0.05
# Where another frame explains the points outside, fewer suffice: a shift by 5 % takes 2 of 1000 points of OSIE out.
MOST_OUTSIDE_EXPLAINED = 0.001
LEFT_OVER = 0.35  # of the points outside, the most that an explaining frame may leave there
# How rare the count of points that another frame brings back must be: 7 of them suffice. A fitted frame is chosen to
# bring many back; of 1,500 plausible sets with errors of measurement none is refused all the same, and of 1,000 on a
# screen that leaves a border of 5 % on each side 955 are.
RARE_BY_CHANCE = 0.01
SMALLEST_SHIFT = 0.02  # share of the image's side; points at an image's own border suggest smaller ones
SMALLEST_SCALE = 1.2


@dataclass(frozen=True)
class OtherFrame:
    """Another frame in which x and y might count.

    outside: (n,) which points would lie outside their images
    what: a sentence's beginning that says so
    settings, by_hand: see Finding
    fitted: whether the frame has numbers that are fitted to the points
    """

    kind: str
    outside: np.ndarray
    what: str
    settings: str
    by_hand: str
    fitted: bool = False


def wrong_frame(points: Points, turned: np.ndarray) -> Finding | None:
    """Return what brings points outside their images back inside, or that there are too many; None: there are few.

    turned: (n,) whether the file of the point's image asks to be shown turned by a quarter
    """
    outside = points.outside()
    count, n = int(outside.sum()), len(points)
    if not count:
        return None
    begin = f"{count} of {n} fixations lie outside their images"
    explaining = [frame for frame in _frames(points, turned) if explains(outside, frame)]
    if explaining:
        # one that fits as it is, before one that was fitted
        best = min(explaining, key=lambda frame: (frame.fitted, int(frame.outside.sum())))
        message = f"{begin}; {best.what}, where {int(best.outside.sum())} lie outside"
        return Finding(best.kind, count, n, message, best.settings, best.by_hand)
    if more_than(MOST_OUTSIDE, count, n):
        return Finding(
            "outside",
            count,
            n,
            f"{begin}; no other origin, order of the axes, scale or screen explains it",
            "",
            "convert x and y into pixels of the stored image, with the origin in its top left corner",
        )
    return None


def explains(outside: np.ndarray, frame: OtherFrame) -> bool:
    """Return whether another frame explains the points outside better than the frame as read; outside: (n,).

    A right frame leaves out fewest points. If the frame as read were right, the points that are outside in one of both
    frames alone would thus be so in the other frame at least as often as in this one. Their counts are held against a
    fair coin (a sign test).
    """
    as_read, other = int((outside & ~frame.outside).sum()), int((frame.outside & ~outside).sum())
    return (
        outside.mean() >= MOST_OUTSIDE_EXPLAINED
        and frame.outside.sum() <= LEFT_OVER * outside.sum()
        and more_than(0.5, as_read, as_read + other, RARE_BY_CHANCE)
    )


def _frames(points: Points, turned: np.ndarray) -> Iterator[OtherFrame]:
    x, y, width, height = points.x, points.y, points.width_px, points.height_px
    yield OtherFrame(
        "centred",
        points.outside(x + width / 2, y + height / 2),
        "x and y seem to count from the image's centre",
        CENTRE,
        "add half of the image's width to x, and y to half of its height, or where y counts upwards subtract it",
    )
    if turned.any():
        yield OtherFrame(
            "turned",
            points.outside(np.where(turned, y, x), np.where(turned, x, y)),
            f"{len(np.unique(points.image[turned]))} images have an EXIF orientation by which programs show them "
            "turned by a quarter, and their fixations seem to lie in the image as shown",
            "",
            "store these images as they are shown, without the orientation (Pillow's ImageOps.exif_transpose)",
        )
    yield OtherFrame(
        "swapped",
        points.outside(y, x),
        "x and y seem to be swapped, or the images turned by a quarter",
        "data.columns.x=y data.columns.y=x",
        "swap x and y, or turn the images",
    )
    yield from _on_screen(points)
    yield from _constant_shift(points)
    yield from _shown_larger(points)


def _on_screen(points: Points) -> Iterator[OtherFrame]:
    """Yield the screen whose centre is that of all images, if it is larger than they are."""
    some = points.some
    centre_x = _most_covered(some.x - some.width_px / 2, some.x + some.width_px / 2)
    centre_y = _most_covered(some.y - some.height_px / 2, some.y + some.height_px / 2)
    more_x, more_y = centre_x - points.width_px / 2, centre_y - points.height_px / 2
    if _is_a_shift(points, more_x, more_y):
        width, height = round(2 * centre_x), round(2 * centre_y)
        yield OtherFrame(
            "outside",
            points.outside(points.x - more_x, points.y - more_y),
            f"x and y seem to count on a screen of about {width} x {height} pixels with the images in its centre",
            f"data.frame.of=screen data.frame.screen_width_px={width} data.frame.screen_height_px={height} (the true "
            "size is that of the screen)",
            "subtract half of what the screen is wider than the image from x, and half of what it is higher from y",
            fitted=True,
        )


def _constant_shift(points: Points) -> Iterator[OtherFrame]:
    """Yield the place on a screen at which the top left corner of every image seems to have been."""
    some = points.some
    x, y = _most_covered(some.x - some.width_px, some.x), _most_covered(some.y - some.height_px, some.y)
    if _is_a_shift(points, np.full(len(points), x), np.full(len(points), y)):
        yield OtherFrame(
            "outside",
            points.outside(points.x - x, points.y - y),
            f"x and y seem to count on a screen with the top left corner of the images at about ({x:.0f}, {y:.0f})",
            f"data.frame.of=screen data.frame.shown_x_px={x:.0f} data.frame.shown_y_px={y:.0f} "
            "data.frame.screen_width_px=... data.frame.screen_height_px=...",
            f"subtract the corner's position, about {x:.0f} and {y:.0f}, from x and y",
            fitted=True,
        )


def _shown_larger(points: Points) -> Iterator[OtherFrame]:
    """Yield the frame of images that were shown larger than they are stored, if both axes reach as far."""
    reach = [np.quantile(share, 0.98) for share in points.shares]
    scale = 1.02 * max(reach)  # of points that are spread evenly, 2 % lie beyond the quantile
    if min(reach) > 0.75 * scale and scale > SMALLEST_SCALE:
        yield OtherFrame(
            "scaled",
            points.outside(points.x / scale, points.y / scale),
            f"the images seem to have been shown about {scale:.2g} times as large as they are stored, or more",
            "data.frame.shown_width_px=... data.frame.shown_height_px=...",
            "divide x and y by the scale",
            fitted=True,
        )


def _is_a_shift(points: Points, x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether images lie this far right of and below x, y = 0, (n,) pixels, in at least one direction."""
    shares = np.stack([x / points.width_px, y / points.height_px])
    return bool(shares.min() > -SMALLEST_SHIFT and shares.max() >= SMALLEST_SHIFT)


def _most_covered(low: np.ndarray, high: np.ndarray) -> float:
    """Return the middle of the positions that lie in most of the n intervals from low to high."""
    ends = np.unique(np.concatenate([low, high]))
    middles = (ends[:-1] + ends[1:]) / 2  # between two neighbouring ends the count does not change
    covered = np.searchsorted(np.sort(low), middles, "right") - np.searchsorted(np.sort(high), middles, "right")
    best = np.flatnonzero(covered == covered.max())
    return float((middles[best[0]] + middles[best[-1]]) / 2)
