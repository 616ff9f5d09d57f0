"""What figures are drawn of is read as it was written, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.errors import DataError
from entreg.report import illustrations
from tests.report.findings import findings


def test_what_is_written_is_read(tmp_path):
    shown = findings(tmp_path / "sweep", foreign=2)
    illustrations.write(tmp_path / "a.npz", shown)
    read = illustrations.read(tmp_path / "a.npz")
    assert read.histories == shown.histories
    for name, maps in [("bias", shown.bias_maps), *shown.mean_densities.items()]:
        again = read.bias_maps if name == "bias" else read.mean_densities[name]
        assert list(again) == list(maps) and all(np.array_equal(again[key], one) for key, one in maps.items())
    assert list(read.examples) == ["in_domain", "ood.elsewhere", "ood.beyond"]
    for domain, rows in shown.examples.items():
        assert [label for label, _ in read.examples[domain]] == ["best", "median", "worst"]
        for (_, ours), (_, again) in zip(rows, read.examples[domain], strict=True):
            assert list(again) == ["nll", "nll_entropy"]
            for arm, prediction in ours.items():
                assert (again[arm].name, again[arm].title) == (prediction.name, prediction.title)
                for what in ("image", "log_density", "y", "x"):
                    assert np.array_equal(getattr(again[arm], what), getattr(prediction, what))


def test_a_damaged_file_is_refused_with_its_name(tmp_path):
    illustrations.write(tmp_path / "a.npz", findings(tmp_path / "sweep", labels=()))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: cannot be read as the illustrations of an evaluation"):
        illustrations.read(tmp_path / "a.npz")
