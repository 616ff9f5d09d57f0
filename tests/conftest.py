"""What several rooms' tests share: a config composed as train.py composes it, and the command line itself."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from entreg.config import register
from entreg.data.sources import sources
from entreg.run.jobs import register_resolvers

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

# the smallest study that has everything: both orientations, a validation part, out-of-domain images
SMALL = (
    "data.images=20", "ood.synthetic_ood.images=6", "data.folds=4", "trainer.batch_size=6", "uniform.images=4",
    *(f"{role}.long_side_px=192" for role in ("data", "ood.synthetic_ood")),
    *(f"{role}.short_side_px=144" for role in ("data", "ood.synthetic_ood")),
)


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """Feature stores of this test session: built once, read by every run."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def composed():
    """composed(*overrides): the DictConfig that these words on the command line give."""
    register(sources())
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides))


@pytest.fixture(scope="session")
def command(store):
    """command(*words, folder): train.py with these words, run in `folder`; the finished process, output as text.

    python: another one than that of the tests
    """

    def run(*words: str, folder: Path, python: Path | str = sys.executable) -> subprocess.CompletedProcess:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            (str(python), str(ROOT / "train.py"), *words, f"paths.store={store}"),
            cwd=folder, env=environment, capture_output=True, text=True, timeout=280,
        )

    return run
