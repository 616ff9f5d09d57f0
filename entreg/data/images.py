"""Image files: sizes from headers, pixels decoded strictly, as they are stored (no EXIF rotation)."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from entreg.errors import DataError


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) in stored pixels, from the header alone. DataError names a file that is not an image."""
    with _opened(path) as image:
        return image.height, image.width


def read_rgb(path: Path) -> np.ndarray:
    """(H, W, 3) uint8. DataError names a file that is missing, truncated, not an image or has more than 16 bits."""
    with _opened(path) as image:
        return np.array(_eight_bit(image).convert("RGB"))


def read_grey(path: Path) -> np.ndarray:
    """(H, W) uint8 luminance. Same errors as read_rgb."""
    with _opened(path) as image:
        return np.array(_eight_bit(image).convert("L"))


def thumbnail(path: Path) -> np.ndarray:
    """(16, 17) grey levels 0..255, whatever the image's size and shape. Same errors as read_rgb."""
    with _opened(path) as image:
        image.draft("L", (128, 128))  # a JPEG is decoded at a fraction of its size
        return np.asarray(_eight_bit(image).convert("L").resize((17, 16), Image.Resampling.BOX))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file raises OSError, SyntaxError, struct.error or whatever else
        raise DataError(f"{path} cannot be read as an image: {error}") from error


def _eight_bit(image: Image.Image) -> Image.Image:
    # Pillow opens a 16-bit greyscale PNG as I;16 or (before 11) as I, and converting either to RGB clips it at 255
    if image.mode != "I" and not image.mode.startswith("I;16"):
        if image.mode == "F":
            raise ValueError("its pixels are floating-point numbers; store it with 8 or 16 bits")
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels have more than 16 bits; store it with 8 or 16 bits")
    return Image.fromarray(np.round(values / 257).astype(np.uint8))
