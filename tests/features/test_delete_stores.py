"""make clean-store: what it removes, and where."""

import subprocess
import sys

from tests.conftest import ROOT


def test_only_what_entreg_has_put_there_is_removed(tmp_path):
    for name in ("features/0123/768x1024.bin", "center_bias/4567/768x1024.npy", "image_hashes/89ab.json", "thesis.tex"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(10_000_000))
    command = (sys.executable, "-m", "entreg.features.delete_stores", str(tmp_path))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"{tmp_path}/features: 0.01 GB removed",
        f"{tmp_path}/center_bias: 0.01 GB removed",
        f"{tmp_path}/synthetic: does not exist",
        f"{tmp_path}/image_hashes: 0.01 GB removed",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
