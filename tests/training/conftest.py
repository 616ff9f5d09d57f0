"""What the tests of trainings share: a trainer of two epochs."""

from __future__ import annotations

import pytest

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.training.trainer import Trainer


@pytest.fixture(scope="module")
def cache() -> StudyCache:
    return StudyCache(Ranks())


@pytest.fixture
def trainer_of(composed, store, cache, tmp_path):
    """trainer_of(*words, folder=NAME): a trainer of two epochs."""

    def build(*words: str, folder: str = "run") -> Trainer:
        config = resolved(composed(f"paths.store={store}", "trainer.epochs=2", *words))
        return Trainer(Study(config, cache), RunFolder(tmp_path / folder))

    return build
