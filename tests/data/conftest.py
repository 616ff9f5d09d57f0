from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from entreg.config import Data
from entreg.data.sources import settings_of, synthetic
from tests.conftest import ROOT, SHARED

FOLDER = ROOT / "conf/data"
PATHS = {"paths": {"data": "DATA", "store": "STORE"}}


def composed(name: str, **more: Any):
    """{paths, data} as Hydra composes an option of conf/data, with some values typed."""
    values = OmegaConf.load(FOLDER / f"{name}.yaml")
    first, myself = values.pop("defaults")
    assert myself == "_self_"
    if first.startswith("schema_"):
        source = first.removeprefix("schema_")
        base = OmegaConf.structured(settings_of(source)(source=source))
    else:
        base = composed(first).data
    return OmegaConf.create(PATHS | {"data": OmegaConf.merge(base, values, more)})


def option(name: str, **more: Any) -> Data:
    """The settings that data=NAME gives, with some values typed."""
    return OmegaConf.to_object(composed(name, **more).data)


@pytest.fixture
def rng():
    return np.random.Generator(np.random.PCG64(0))


@pytest.fixture
def shared() -> Path:
    """The material beside the repository, which a clone of it does not have."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository: real photos and fixations are not part of it")
    return SHARED


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Settings of a small synthetic set."""
    return synthetic.Settings(
        name="synthetic", root=str(tmp_path_factory.mktemp("synthetic")), images=10, long_side_px=128, short_side_px=96
    )
