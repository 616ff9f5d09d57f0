"""A prediction in a script is that of the command line."""

from __future__ import annotations

import numpy as np
import pytest

import entreg
from benchmarks.generated import picture
from tests.library.conftest import ONE_THREAD, Study

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_image_has_the_density_that_the_loaded_run_gives_it(made: Study, tmp_path):
    (tmp_path / "photos").mkdir()
    for number, size in enumerate(((70, 90), (80, 60))):
        picture(tmp_path / f"photos/{number}.png", size, number)
    found = entreg.predict(made.regularised, tmp_path / "photos", ONE_THREAD, folder=tmp_path / "predicted")
    model = entreg.load(made.regularised.folder, device="cpu")
    assert found.images == ("0.png", "1.png") and found.folder == tmp_path / "predicted"
    for image in found.images:
        expected = model.log_density(tmp_path / "photos" / image).astype(np.float32)
        assert np.array_equal(found.log_density(image), expected)
    table = found.to_pandas()
    assert table[["height_px", "width_px"]].values.tolist() == [[70, 90], [80, 60]]
