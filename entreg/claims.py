"""Who works at a place: an owner file with a heartbeat, since locks do not lock on every file system.

Of two processes that want to write to one run folder, or to build one feature store, one must know of the other, on
whatever node it runs. The owner's file is created exclusively, which every network file system can do, and touched as
long as its owner lives. It is taken over where the owner's process has ended on this host, where the owner was an
earlier start of the same cluster job on another node, or where its heartbeat has stopped.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from entreg import files
from entreg.errors import DataError

log = logging.getLogger(__name__)

BEAT_S, STALE_S = 30.0, 300.0
SETTLE_S = 0.5  # in which the last of several that take a place over at once is seen by all
TOLD_EVERY_S = 60.0


@dataclass(frozen=True)
class Owner:
    """A process: where it runs, since when, and which start of which cluster job it belongs to."""

    host: str
    space: str | None  # in which process numbers mean the same: one boot of one system or container
    process: int
    born: str | None
    job: str | None
    restarts: int  # of the job, so far
    since: str
    token: str

    def __str__(self) -> str:
        job = f" (job {self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.since}"

    @classmethod
    def this_process(cls) -> Owner:
        """Every claim has a token of its own."""
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        return cls(platform.node(), _space(), os.getpid(), _born(os.getpid()), *_job(), now, uuid.uuid4().hex)

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended; of a process on another host only its heartbeat can tell."""
        if (self.host, self.space) != (platform.node(), _space()):
            job, restarts = _job()
            return job is not None and self.job == job and self.restarts < restarts
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # somebody else's process
            pass
        # another process may have got its number
        return self.born != _born(self.process)


class Taken(DataError):
    """Somebody else works there."""

    def __init__(self, path: Path, owner: Owner | None) -> None:
        super().__init__(f"{path.parent} is being worked on by {owner or 'another process'}")
        self.owner = owner

    def __reduce__(self) -> tuple[type[DataError], tuple[str]]:
        return DataError, (str(self),)


class Claim:
    """A claim on a place, held until it is released or the process ends. `with Claim(path):` or `release`."""

    def __init__(self, path: Path) -> None:
        """Takes it. Taken names the owner where there is one; DataError where the file cannot be written."""
        self._path, self._owner = path, Owner.this_process()
        self._ended = threading.Event()
        if not files.create(path, json.dumps(asdict(self._owner), indent=2) + "\n"):
            self._take_over()
        self._remove_left()
        self._beat = threading.Thread(target=self._keep, daemon=True, name=f"heartbeat of {path}")
        self._beat.start()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Gives the place up; harmless where it is no longer ours.

        A file that cannot be removed is left: it is taken over when this process has ended.
        """
        self._ended.set()
        owner = _owner_at(self._path)
        if owner is not None and owner.token == self._owner.token:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s: cannot be removed: %s", self._path, error.strerror)

    def _take_over(self) -> None:
        owner = _owner_at(self._path)
        if not (owner is not None and owner.has_ended) and not self._is_stale():
            raise Taken(self._path, owner)
        if owner is not None:
            log.info("%s: taking over from %s, which has ended", self._path.parent, owner)
        files.write_json(self._path, asdict(self._owner))
        time.sleep(SETTLE_S)
        owner = _owner_at(self._path)
        if owner is None or owner.token != self._owner.token:
            raise Taken(self._path, owner)

    def _remove_left(self) -> None:
        """What processes have left that were killed while they claimed; those of now are younger."""
        for left in files.temporary_of(self._path):
            with suppress(FileNotFoundError):
                if self._path.stat().st_mtime - left.stat().st_mtime > STALE_S:
                    left.unlink()

    def _is_stale(self) -> bool:
        """Whether the heartbeat has stopped, by the file system's clock."""
        probe = self._path.with_name(f".{self._path.name}.{self._owner.token[:8]}.tmp")
        try:
            probe.touch()
            return probe.stat().st_mtime - self._path.stat().st_mtime > STALE_S
        except FileNotFoundError:  # released meanwhile
            return True
        finally:
            probe.unlink(missing_ok=True)

    def _keep(self) -> None:
        while not self._ended.wait(BEAT_S):
            owner = _owner_at(self._path)
            if owner is not None and owner.token != self._owner.token:
                # this process was stopped for minutes; what it would write now would mix with what the other one writes
                log.error("%s was taken over by %s: this process ends", self._path.parent, owner)
                os._exit(1)
            try:
                os.utime(self._path)
            except OSError as error:
                log.warning("%s: its heartbeat cannot be written: %s", self._path, error)


def make_once(made: Path, make: Callable[[], None], pause: Callable[[], None] = lambda: time.sleep(1)) -> None:
    """Makes a file or folder that is not there; of several processes that want it one makes it and the others wait.

    pause: what is done between two looks; it may raise to give up. Where it is there nothing is written.
    """
    told = time.monotonic()
    while not made.exists():
        try:
            with Claim(made.with_name(f"{made.name}.owner")):
                if not made.exists():
                    for left in files.temporary_of(made):  # by one that was killed
                        left.unlink(missing_ok=True)
                    make()
        except Taken as taken:
            if time.monotonic() - told >= TOLD_EVERY_S:
                told = time.monotonic()
                log.info("%s is being made by %s: waiting for it", made, taken.owner or "another process")
            pause()


def _owner_at(path: Path) -> Owner | None:
    """Who the file names; None where there is none, or nothing that could be read."""
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _job() -> tuple[str | None, int]:
    """The cluster's job that this process belongs to, and how often it was requeued."""
    return os.environ.get("SLURM_JOB_ID"), int(os.environ.get("SLURM_RESTART_COUNT") or 0)


def _space() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _born(process: int) -> str | None:
    """When a process was started, in the system's own unit; None where the system does not tell."""
    try:
        # the command's name may hold blanks and brackets
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
