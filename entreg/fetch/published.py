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

    @property
    def sha256(self) -> str | None:
        """Its SHA-256's digits; None where they are not known."""
        algorithm, _, digits = (self.known_hash or "").partition(":")
        return digits if algorithm == "sha256" else None

    def __str__(self) -> str:
        size = f"{self.size_bytes / 1e6:,.0f} MB" if self.size_bytes else "size not known beforehand"
        return f"{self.address} ({size}, {self.known_hash or 'no hash published'})"


# of DeepGaze IIE, whose DenseNet member holds a backbone, too; the hash is that of third parties' pins
DEEPGAZE2E = Published(
    "https://github.com/matthias-k/DeepGaze/releases/download/v1.0.0/deepgaze2e.pth",
    "sha256:49b65724184f43a2b60426c29c12fd2b743b47ad9eb3435d3dd28e50ea4e2585",
    419_676_716,
)
