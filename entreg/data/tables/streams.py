"""Files of text as streams of bytes in UTF-8, whatever their encoding, line ends and compression."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from entreg.errors import DataError, brief

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
HEAD_BYTES = 1 << 16  # in which the first line must end


def opened(path: Path, encoding: str | None) -> BinaryIO:
    """Return the text of a file, which may be packed with gzip, as UTF-8 without a byte order mark, from its beginning.

    encoding: null means UTF-8, or UTF-16 where the file begins with its byte order mark

    Only files in other encodings and those with the line ends of old Macs are held in memory. Raises a DataError where
    the text is not in the encoding that was given.
    """
    file: Any = path.open("rb")
    if path.suffix == ".gz":
        file = gzip.GzipFile(fileobj=file)
    try:
        head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        file.close()
        raise DataError(f"{path} cannot be unpacked: {brief(error)}; get it again") from error
    encoding = encoding or ("utf-16" if head[:2] in UTF_16 else "utf-8")
    if encoding != "utf-8":
        file = io.BytesIO(_decoded(path, head + file.read(), encoding).encode())
        head = file.getvalue()[:HEAD_BYTES]
    if b"\r" in head and b"\n" not in head:
        file.seek(0)
        file = io.BytesIO(file.read().replace(b"\r", b"\n"))
    file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
    opened_file: BinaryIO = file
    return opened_file


def _decoded(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"byte {content[error.start]:#04x} is not {encoding}"
        raise DataError(f"{path}, line {line}: {what}; give another data.text.encoding") from None


def undecodable(path: Path) -> DataError:
    """Return the error that says where a file is not UTF-8."""
    way_out = "save it as CSV in UTF-8, or give data.text.encoding (latin-1, mac-roman)"
    with opened(path, "utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return DataError(f"{path}, line {number}: byte {line[error.start]:#04x} is not UTF-8; {way_out}")
    return DataError(f"{path} is not UTF-8; {way_out}")
