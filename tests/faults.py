"""Calls that change files made to fail, as SQLite is tested: the n-th one, once or with all later ones of its kind.

Counted is what reaches the system: a file's buffered writes as they are flushed, whoever asks for them. In a process
that only runs what is tested.
"""

from __future__ import annotations

import builtins
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from entreg.training import training_figures

PATH_CALLS = ("mkdir", "rmdir", "unlink", "remove", "rename", "replace", "link", "truncate", "utime")
HANDLE_CALLS = ("write", "pwrite", "fsync", "ftruncate", "posix_fallocate")


class Faults:
    """What is counted and what fails."""

    def __init__(self, below: str, trace: str, at: int, number: int, for_good: bool) -> None:
        self._below, self._at, self._number, self._for_good = below, at, number, for_good
        self._trace, self._tell = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), os.write
        self._count, self._kind = 0, ""
        self._lock = threading.Lock()

    def call(self, kind: str, path: str, named: bool = True) -> None:
        """OSError where this call is to fail; named: whether the system says of which file."""
        if not path.startswith(self._below):
            return
        with self._lock:
            self._count += 1
            if self._count == self._at:
                self._kind = kind
            fails = self._count == self._at or (self._for_good and self._count > self._at and kind == self._kind)
            self._tell(self._trace, f"{'failed' if fails else 'done'} {kind} {path}\n".encode())
        if fails:
            raise OSError(self._number, os.strerror(self._number), *([path] if named else []))


def inject(below: str, trace: str, at: int, number: int, for_good: bool) -> None:
    """From now on the at-th call that changes a file below the folder `below` fails with the errno `number`.

    at: from 1 on; 0: none fails. trace: a file that gets a line for each call: done or failed, kind, path
    for_good: all later calls of the same kind fail, too
    Pictures are not drawn but written as they are said to be: drawing takes most of a small run's time.
    """
    faults = Faults(below, trace, at, number, for_good)
    for name in PATH_CALLS:
        setattr(os, name, _of_path(faults, name, getattr(os, name)))
    for name in HANDLE_CALLS:
        setattr(os, name, _of_handle(faults, name, getattr(os, name)))
    os.open = _os_open(faults, os.open)
    builtins.open = io.open = _open(faults, io.open)
    Figure.savefig = lambda self, file, **_: file.write(b"a picture")
    training_figures.loss_curves = training_figures.bias_map = training_figures.predictions = lambda path, _: (
        training_figures._save(Figure(), path)
    )


def _of_path(faults: Faults, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def called(path: Any, *others: Any, **more: Any) -> Any:
        place = _absolute(path, more.get("dir_fd"))
        # what is there cannot be made and what is not there cannot be removed: the system says so, as ever
        if os.path.lexists(place) != (name == "mkdir"):
            faults.call("unlink" if name == "remove" else name, place)
        return call(path, *others, **more)

    return called


def _of_handle(faults: Faults, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def called(handle: int, *others: Any) -> Any:
        faults.call(name, _path_of(handle), named=False)
        return call(handle, *others)

    return called


def _os_open(faults: Faults, call: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, flags: int, *others: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            faults.call("open", _absolute(path, more.get("dir_fd")))
        return call(path, flags, *others, **more)

    return opened


def _open(faults: Faults, call: Callable[..., Any]) -> Callable[..., Any]:
    class File(io.FileIO):
        def write(self, data: Any) -> int:
            faults.call("write", _path_of(self.fileno()), named=False)
            return super().write(data)

    def opened(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: Any = None,
        errors: Any = None,
        newline: Any = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if not set(mode) & set("wax+"):
            return call(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if not isinstance(file, int):
            faults.call("open", _absolute(file, None))
        raw = File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        made = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return made if "b" in mode else io.TextIOWrapper(made, encoding or "utf-8", errors, newline, buffering == 1)

    return opened


def _absolute(path: Any, folder: int | None) -> str:
    place = os.fsdecode(path)
    parent = Path() if folder is None else Path(_path_of(folder))
    return os.path.abspath(parent / place)  # noqa: PTH100 (Path.resolve follows links)


def _path_of(handle: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{handle}").readlink())
    except OSError:
        return ""


def calls(trace: Path) -> list[tuple[str, str, str]]:
    """(done or failed, kind, path) of each call."""
    found = [line.split(" ", 2) for line in trace.read_text().splitlines()]
    return [(how, kind, path) for how, kind, path in found]
