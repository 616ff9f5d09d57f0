"""A whole study in about a second, to be killed and made to fail: images, store and maps, a training, its judgement."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from entreg.data import image_hashes
from entreg.io import files
from tests.warm import Run, Warm

TRAIN = (
    "data.images=5",
    "ood.synthetic_ood.images=4",
    "data.folds=5",
    "trainer.batch_size=2",
    "uniform.images=1",
    *(f"{role}.{side}" for role in ("data", "ood.synthetic_ood") for side in ("long_side_px=96", "short_side_px=64")),
    "trainer.epochs=2",
    "trainer.checkpoint_every=1",
    "loss=nll_entropy",
    "loss.every=2",
    "hardware=cpu",
    "hardware.threads=1",
    "paths.store=store",
    "study=run",
)
EVALUATE = (
    "task=evaluate",
    "runs=outputs/run",
    "hardware=cpu",
    "hardware.threads=1",
    "paths.store=store",
    "study=judged",
)
PREDICT = (
    "task=predict",
    "run=outputs/run",
    "images=photos",
    "prediction.hdf5=true",
    "hardware=cpu",
    "hardware.threads=1",
    "paths.store=store",
    "study=predicted",
)
COMMANDS = {"train": TRAIN, "evaluate": EVALUATE, "predict": PREDICT}
CHECKPOINTS = "outputs/run/checkpoints"
TIMES = ("images_per_s", "seconds")
CLAIMING = re.compile(r"\..*\.owner\.[0-9a-f]{8}\.tmp")
OF_THIS_START = ("train.log", "provenance.json")  # when, where and how often a run was started


class Miniature:
    """The study's commands, such as `train`, `evaluate` and `predict`, in a folder that is emptied between studies."""

    def __init__(self, place: Path, commands: Mapping[str, Sequence[str]] = COMMANDS) -> None:
        """commands: the words of each, by its name."""
        self._commands = commands
        self.folder, self.output, self._kept = place / "study", place / "output.txt", place / "kept"
        self.folder.mkdir()
        self._started: dict[str, Warm] = {}

    def __enter__(self) -> Miniature:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for command in self._started.values():
            command.__exit__(kind, error, trace)

    def start(self, command: str, fault: dict[str, Any] | None = None) -> Run:
        """Begins one of the commands, see `Warm.start`."""
        if command not in self._started:
            self._started[command] = Warm(self.folder, *self._commands[command])
        return self._started[command].start(self.output, fault)

    def run(self, command: str, fault: dict[str, Any] | None = None) -> None:
        """One of the commands, which must get through."""
        run = self.start(command, fault)
        assert run.end() == 0, run.output

    def empty(self) -> None:
        """As before the first run."""
        for path in self.folder.iterdir():
            shutil.rmtree(path)

    def take_photos(self, count: int) -> None:
        """Some of the training's images, to be predicted."""
        (self.folder / "photos").mkdir()
        for path in sorted(self.folder.glob("store/synthetic/*/*.png"))[:count]:
            shutil.copy(path, self.folder / "photos")

    def epochs_kept(self) -> int:
        """How many epochs the training will not do again: by its last checkpoint, or its final one, which are whole."""
        for name in ("final.pt", "last.pt"):
            path = self.folder / CHECKPOINTS / name
            if path.exists():
                return int(torch.load(path, weights_only=True)["epoch"])
        return 0

    def keep(self) -> None:
        """Remembers what there is now."""
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self.folder, self._kept)

    def bring_back(self) -> None:
        """What was kept is there again, and nothing else."""
        self.empty()
        shutil.copytree(self._kept, self.folder, dirs_exist_ok=True)

    def content(self) -> dict[str, Any]:
        """What there is, by relative path: bytes, or what they mean without times. What tells of a start is left out.

        A file that is not whole is an error.
        """
        paths = (
            path
            for path in self.folder.rglob("*")
            # what is left of claiming a place is removed when it is old; hashes are kept with the times of the images
            if path.is_file()
            and path.name not in OF_THIS_START
            and not CLAIMING.fullmatch(path.name)
            and path.parent.name != image_hashes.FOLDER
        )
        return {str(path.relative_to(self.folder)): _meaning(path) for path in sorted(paths)}


def _meaning(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".pt":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
        state = torch.load(io.BytesIO(data), weights_only=True)
        known = {name: digest for name, digest in state.pop("file_sums", {}).items() if name not in OF_THIS_START}
        return _plain(state | {"history": [_timeless(row) for row in state["history"]], "file_sums": known})
    if path.name == "metrics.csv":
        return [_timeless(row) for row in csv.DictReader(io.StringIO(data.decode()))]
    if path.name == "SHA256SUMS":
        return [line for line in data.decode().splitlines() if not line.endswith(OF_THIS_START)]
    if path.suffix == ".json":
        json.loads(data)
    if path.suffix == ".yaml":
        files.read_yaml(path)
    return hashlib.sha256(data).hexdigest()


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in TIMES}


def _plain(node: Any) -> Any:
    """Tensors by their bytes, so that == asks for the same bits."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(value) for value in node]
    return (node.dtype, node.shape, node.numpy().tobytes()) if isinstance(node, torch.Tensor) else node


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Paths that one of two contents lacks or that differ."""
    return sorted(path for path in {*found, *expected} if path not in found or found[path] != expected.get(path))
