"""Remove all feature stores, centre-bias maps, synthetic images and hashes of images.

    python -m entreg.features.delete_stores [FOLDER]

FOLDER is the value of paths.store, by default its default.
"""

import shutil
import sys
from pathlib import Path

from entreg.config import Paths
from entreg.data import image_hashes

if __name__ == "__main__":
    store = Path(*sys.argv[1:2] or [Paths.store]).expanduser()
    for kind in ("features", "center_bias", "synthetic", image_hashes.FOLDER):
        folder = store / kind
        if folder.is_dir():
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            shutil.rmtree(folder)
            print(f"{folder}: {size / 1e9:.2f} GB removed")
        else:
            print(f"{folder}: does not exist")
