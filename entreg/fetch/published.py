"""What is known of a file that somebody has published."""
from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Published:
    """A file that somebody has published.

    known_hash: `md5:` or `sha256:` and the digits; None where none is published
    size_bytes: None where it is not known
    """

    address: str
    known_hash: str | None = None
    size_bytes: int | None = None

    @property
    def name(self) -> str:
        """Its file name."""
        return urlsplit(self.address).path.rpartition("/")[2]

    def __str__(self) -> str:
        size = f"{self.size_bytes / 1e6:,.0f} MB" if self.size_bytes else "size not known beforehand"
        return f"{self.address} ({size}, {self.known_hash or 'no hash published'})"
