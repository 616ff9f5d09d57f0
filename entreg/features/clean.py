"""Removes all feature stores and centre-bias maps: python -m entreg.features.clean [FOLDER]"""
import shutil
import sys
from pathlib import Path

from entreg.config import Paths

if __name__ == "__main__":
    store = Path(sys.argv[1] if len(sys.argv) > 1 else Paths.store).expanduser()
    for kind in ("features", "center_bias", "synthetic"):
        folder = store / kind
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{folder}: {size / 1e9:.2f} GB removed")
