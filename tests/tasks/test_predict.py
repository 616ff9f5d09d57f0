"""What keeps a prediction from being started; what one leaves is in tests/predict."""

from __future__ import annotations

import pytest

from entreg.config.settings import resolved
from entreg.errors import SettingError
from entreg.tasks import check


@pytest.mark.parametrize("words", [(), ("run=x",), ("images=x",)], ids=str)
def test_it_needs_a_run_and_images(composed, words):
    with pytest.raises(SettingError, match="needs a finished run and a folder of images: run=FOLDER images=FOLDER"):
        check(resolved(composed("task=predict", *words)))
    check(resolved(composed("task=predict", "run=x", "images=y")))
