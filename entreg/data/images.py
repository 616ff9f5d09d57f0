"""Image files: sizes are read from headers, and pixels are decoded strictly, as they are stored.

Each kind of file is treated as follows:

    grey, palette, 1 bit, CMYK    converted to RGB by Pillow
    16 bits                       reduced to 8: greys are rounded, colours lose their lower byte; more bits are refused
    alpha                         dropped where every pixel is opaque; else refused, because the background is unknown
    EXIF orientation              ignored, because fixations do not know it; a turned TIFF is refused, because some
                                  versions of Pillow turn it
    several pictures, animation   the first picture is read
    more than MOST_PIXELS         refused, because such files are made to fill the memory
    other formats than FORMATS    refused, because Pillow starts other programs to read some of them
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from entreg.data.dataset import natural_order
from entreg.errors import DataError, SettingError, brief

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 89_478_485  # a quarter of a gigabyte as RGB; Pillow warns of more

STRIP_PIXELS = 2**18  # that are converted at a time

THUMBNAIL_SHAPE = 16, 17  # rows and columns, see `thumbnail`

ORIENTATION = 0x0112  # tag of TIFF and EXIF; 1: upright

Picture = str | Path | Image.Image | np.ndarray  # the forms in which callers may pass an image


def size_of(path: Path) -> tuple[int, int]:
    """Return (height, width) in stored pixels, read only from the header.

    Raises a DataError that names the file where it is not an image.
    """
    with _opened(path) as image:
        return image.height, image.width


def orientation_of(path: Path) -> int:
    """Return the EXIF orientation of a JPEG, 1..8; 1, upright, of other files and where there is none.

    Raises a DataError as `size_of` does.
    """
    with _opened(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1) if image.format == "JPEG" else 1
        return orientation if orientation in range(1, 9) else 1


def read_rgb(path: Path) -> np.ndarray:
    """Return the image as (H, W, 3) uint8.

    Raises a DataError that names the file where it is missing, damaged, or not an image of a supported kind.
    """
    with _opened(path) as image:
        return _pixels(image, "RGB")


def pictures_below(folder: Path, named: Container[str] = ()) -> dict[str, Path]:
    """Return the image files below `folder` by name, in natural order; a name is the path below `folder`.

    named: names of files that are also returned where their suffix is unknown

    Some paths may be links that lead elsewhere, see `refuse_link_out`.
    """
    types = suffixes()
    paths = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        for path in (Path(parent, name) for name in files if not name.startswith(".")):
            name = path.relative_to(folder).as_posix()
            if path.suffix.lower() in types or name in named:
                paths[name] = path
    return {name: paths[name] for name in sorted(paths, key=lambda name: (natural_order(name), name))}


def rgb_of(image: Picture) -> np.ndarray:
    """Return an image as (H, W, 3) uint8. It may be a path, a Pillow image, or an array (H, W, 3), RGB, uint8.

    Grey images are converted, and so are images with an alpha channel where every pixel is opaque. Raises a
    SettingError that says what to do for other arrays, and a DataError as `read_rgb` does.
    """
    if isinstance(image, (str, Path)):
        return read_rgb(Path(image).expanduser())
    if isinstance(image, Image.Image):
        try:
            return _pixels(image, "RGB")
        except (ValueError, OSError) as error:  # OSError: the file is damaged, and Pillow decodes it only now
            raise DataError(f"the image {getattr(image, 'filename', '')} cannot be read: {error}") from error
    if not isinstance(image, np.ndarray):
        raise SettingError(
            f"an image is a path, a Pillow image or a uint8 array (H, W, 3), not a {type(image).__name__}"
            + (" (for a tensor: tensor.cpu().numpy())" if hasattr(image, "numpy") else "")
        )
    shape = f"an array of shape {image.shape}"
    if image.ndim == 4:
        raise SettingError(f"{shape} holds several images: give a list of them (list(array))")
    if image.ndim == 3 and image.shape[-1] > 4 >= image.shape[0]:
        raise SettingError(f"{shape} has its channels first: array.transpose(1, 2, 0) brings them to the end")
    if image.ndim not in (2, 3) or 0 in image.shape or image.ndim == 3 and image.shape[-1] > 4:
        raise SettingError(f"{shape} is not an image: (H, W, 3), RGB, or (H, W), grey")
    if image.dtype != np.uint8:
        hint = " (for values in 0..1: (array * 255).round().astype('uint8'))" if image.dtype.kind == "f" else ""
        raise SettingError(f"an image's values are 0..255 as uint8, not {image.dtype}{hint}")
    colours = image[..., None] if image.ndim == 2 else image
    channels = colours.shape[-1]
    if channels in (2, 4) and not (colours[..., -1] == 255).all():
        raise SettingError(f"{shape} has transparent pixels: put the image onto the background that people see")
    return np.ascontiguousarray(colours[..., :3] if channels >= 3 else colours[..., :1].repeat(3, -1))


def eight_bit_as_in_files(pixels: np.ndarray) -> np.ndarray:
    """Return the 16-bit pixels that another program read from a file as `read_rgb` reads them: uint8, the same shape.

    Greys (H, W) are rounded, and colours (H, W, 3) lose their lower byte. Other pixels stay as they are.
    """
    if pixels.dtype != np.uint16:
        return pixels
    return _rounded(pixels) if pixels.ndim == 2 else (pixels >> 8).astype(np.uint8)


def read_grey(path: Path) -> np.ndarray:
    """Return the image's luminance, (H, W) uint8. Raises the same errors as `read_rgb`."""
    with _opened(path) as image:
        return _pixels(image, "L")


def read_small_rgb(path: Path, side_px: int) -> np.ndarray:
    """Return the image made small, so that no side is longer than `side_px`, as (H, W, 3) uint8.

    A JPEG is decoded at a fraction of its size. Raises the same errors as `read_rgb`.
    """
    with _opened(path) as image:
        image.draft("RGB", (side_px, side_px))
        small = _eight_bit(image).convert("RGB")
        small.thumbnail((side_px, side_px))
        return np.array(small)


def thumbnail(path: Path) -> np.ndarray:
    """Return the image reduced to (16, 17) grey levels 0..255, whatever its size and shape.

    Raises the same errors as `read_rgb`.
    """
    with _opened(path) as image:
        image.draft("L", (128, 128))  # a JPEG is decoded at a fraction of its size
        return np.asarray(_eight_bit(image).convert("L").resize(THUMBNAIL_SHAPE[::-1], Image.Resampling.BOX))


def suffixes() -> set[str]:
    """Return the suffixes of image files, in lower case and with their dot."""
    Image.init()
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS}


def require_file(path: Path) -> None:
    """Raise a DataError where there is no file: to open a pipe would be to wait for its writer."""
    if not path.is_file():
        raise DataError(f"{path} is {'not a file' if path.exists() else 'missing'}; put the image there")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    require_file(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse(path, image)
            yield image
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError:
        what = f"its format is none of {', '.join(FORMATS)}" if path.stat().st_size else "it is empty"
        raise _unreadable(path, what) from None
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except Exception as error:  # a damaged file raises OSError, SyntaxError, struct.error and others
        raise _unreadable(path, brief(error)) from error


def _refuse(path: Path, image: Image.Image) -> None:
    """Raise a DataError where the header describes an image that cannot be used."""
    if image.width * image.height > MOST_PIXELS:
        raise _too_large(path)
    if min(image.size) < 1:
        raise _unreadable(path, f"it has {image.width} x {image.height} pixels")
    if image.format == "TIFF" and image.tag_v2.get(ORIENTATION, 1) != 1:  # type: ignore[attr-defined]  # a TIFF has it
        raise _unreadable(path, "it is a TIFF with an orientation", "store it upright")


def _pixels(image: Image.Image, mode: str) -> np.ndarray:
    """Return the pixels of an image: (H, W, 3) for the mode RGB, (H, W) for L, uint8.

    They are converted strip by strip, so that no more memory is needed than for the pixels before and after, at most 8
    bytes for each.
    """
    converted = np.empty((image.height, image.width, *((3,) if mode == "RGB" else ())), np.uint8)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        converted[top : top + rows] = np.asarray(_eight_bit(strip, _file_of(image)).convert(mode))
    return converted


def _file_of(image: Image.Image) -> Path:
    return Path(getattr(image, "filename", "") or "the picture")  # an image in memory has no file


def _eight_bit(image: Image.Image, path: Path | None = None) -> Image.Image:
    path = path or _file_of(image)
    # Pillow opens a 16-bit greyscale PNG as I;16 or (before 11) as I, and converting either to RGB clips it at 255
    deep = image.mode == "I" or image.mode.startswith("I;16")
    if image.mode == "F":
        raise _unreadable(path, "its pixels are floating-point numbers", "store it with 8 or 16 bits")
    has_alpha = "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa")
    if has_alpha and (deep or image.convert("RGBA").getchannel("A").getextrema()[0] != 255):
        raise _unreadable(path, "some of its pixels are transparent", "store it as it was shown, without alpha")
    if not deep:
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise _unreadable(path, "its pixels have more than 16 bits", "store it with 8 or 16 bits")
    return Image.fromarray(_rounded(values))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return 16-bit greys 0..65535 as 8-bit ones, 0..255."""
    return np.round(values / 257).astype(np.uint8)


def _unreadable(
    path: Path, what: str, way_out: str = "get the file again, or leave it out of the data set"
) -> DataError:
    return DataError(f"{path} cannot be read as an image: {what}; {way_out}")


def _too_large(path: Path) -> DataError:
    return _unreadable(path, f"it has more than {MOST_PIXELS:,} pixels", "store it smaller, with its fixations scaled")
