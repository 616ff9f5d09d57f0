"""A small MIT1003 and a small CAT2000 as they are published, for a server that stands in for theirs."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

WIDTH, HEIGHT, DOTS = 64, 48, 20
IMAGES, FOREIGN = 6, 4


def zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def picture(rng: np.random.Generator, kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(content, kind)
    return content.getvalue()


def dots(rng: np.random.Generator) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found.flat[rng.choice(found.size, DOTS, replace=False)] = 255
    return found


def archives() -> dict[str, bytes]:
    """The archives of a small MIT1003 and a small CAT2000, by the path that they are served at."""
    rng = np.random.Generator(np.random.PCG64(0))
    stimuli = {f"ALLSTIMULI/i{i}.jpeg": picture(rng, "jpeg") for i in range(IMAGES)}
    maps, trained = {}, {}
    for i in range(IMAGES):
        content = io.BytesIO()
        Image.fromarray(dots(rng)).save(content, "jpeg", quality=95)
        maps[f"ALLFIXATIONMAPS/i{i}_fixPts.jpg"] = content.getvalue()
    for i in range(FOREIGN):
        content = io.BytesIO()
        scipy.io.savemat(content, {"fixLocs": dots(rng) // 255})
        trained |= {
            f"trainSet/Stimuli/Action/{i:03d}.jpg": picture(rng, "jpeg"),
            f"trainSet/FIXATIONLOCS/Action/{i:03d}.mat": content.getvalue(),
        }
    junk = {"__MACOSX/ALLSTIMULI/._i0.jpeg": b"junk", "ALLSTIMULI/.DS_Store": b"junk", "ALLSTIMULI/.svn/entries": b""}
    return {
        "/ALLSTIMULI.zip": zipped(stimuli | junk),
        "/ALLFIXATIONMAPS.zip": zipped(maps),
        "/trainSet.zip": zipped(trained),
    }


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def task_words(address: str, archives: Mapping[str, bytes], place: Path | str) -> list[str]:
    """What is typed so that the two small sets stand in for the published ones."""
    return [
        "task=prepare",
        "data=mit1003",
        "ood=[cat2000]",
        f"paths.data={place}/data",
        f"paths.store={place}/store",
        f"paths.weights={place}/weights",
        "hardware=cpu",
        "data.folds=3",
        "uniform.images=2",
        "model.backbone.taps=[conv1_2]",
        f"data.downloads.stimuli.address={address}/ALLSTIMULI.zip",
        f"data.downloads.stimuli.hash={md5(archives['/ALLSTIMULI.zip'])}",
        f"data.downloads.fixations.address={address}/ALLFIXATIONMAPS.zip",
        f"data.expected_images={IMAGES}",
        f"data.expected_fixations={IMAGES * DOTS}",
        f"ood.cat2000.downloads.training_set.address={address}/trainSet.zip",
        f"ood.cat2000.downloads.training_set.hash={md5(archives['/trainSet.zip'])}",
        f"ood.cat2000.expected_images={FOREIGN}",
        "ood.cat2000.sample=null",
        *(f"{role}.{side}" for role in ("data", "ood.cat2000") for side in ("long_side_px=64", "short_side_px=48")),
    ]
