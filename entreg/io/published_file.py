"""The address, hash and size of a published file."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Published:
    """A published file.

    known_hash: `md5:DIGITS` or `sha256:DIGITS`; None where no hash is published
    size_bytes: None where the size is unknown
    """

    address: str
    known_hash: str | None = None
    size_bytes: int | None = None

    @property
    def name(self) -> str:
        """The file name."""
        return urlsplit(self.address).path.rpartition("/")[2]

    @property
    def sha256(self) -> str | None:
        """The digits of the SHA-256; None where it is unknown."""
        algorithm, _, digits = (self.known_hash or "").partition(":")
        return digits if algorithm == "sha256" else None

    def __str__(self) -> str:
        size = f"{self.size_bytes / 1e6:,.0f} MB" if self.size_bytes else "size unknown"
        return f"{self.address} ({size}, {self.known_hash or 'no hash published'})"


# DeepGaze IIE, whose DenseNet member also holds a backbone; third parties pin this hash
DEEPGAZE2E = Published(
    "https://github.com/matthias-k/DeepGaze/releases/download/v1.0.0/deepgaze2e.pth",
    "sha256:49b65724184f43a2b60426c29c12fd2b743b47ad9eb3435d3dd28e50ea4e2585",
    419_676_716,
)
