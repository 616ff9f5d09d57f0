from pathlib import Path

import numpy as np
import pytest

from entreg.config import Synthetic

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture
def rng():
    return np.random.Generator(np.random.PCG64(0))


@pytest.fixture
def shared():
    """The material beside the repository, which a clone of it does not have."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository: real photos and fixations are not part of it")
    return SHARED


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Settings of a small synthetic set."""
    return Synthetic(name="synthetic", root=str(tmp_path_factory.mktemp("synthetic")), images=10,
                     long_side_px=128, short_side_px=96)
