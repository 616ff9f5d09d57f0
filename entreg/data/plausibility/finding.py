"""What a check finds to be implausible."""

from __future__ import annotations

import re
from dataclasses import dataclass

from entreg.config import Data

# points do not show which way y grows
CENTRE = "data.frame.origin=centre (where y grows upwards; where it grows downwards, add half of each side instead)"


@dataclass(frozen=True)
class Finding:
    """An implausible property of a data set.

    kind: what `accept` calls it, one of entreg.config.data.IMPLAUSIBLE
    count, of: how many of how many points show it
    message: a sentence with these counts that says what is wrong
    settings: the settings that read the set rightly, such as data.frame.unit=shares; empty: none
    by_hand: what to do where there are none, or the source does not have them
    """

    kind: str
    count: int
    of: int
    message: str
    settings: str
    by_hand: str

    def way_out(self, settings: Data) -> str:
        """Return what to type, where the data set's source has these settings, else what to do by hand."""
        first = re.match(r"data\.(\w+)", self.settings)
        return self.settings if first and hasattr(settings, first[1]) else self.by_hand
