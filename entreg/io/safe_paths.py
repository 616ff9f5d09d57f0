"""Checks that the names which come with a data set do not lead out of its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from entreg.errors import DataError


def why_it_leads_out(name: str) -> str | None:
    """Return why a relative path, or a pattern of paths, may lead out of its folder, or None where it cannot.

    A drive letter or a backslash counts on every system, because the data set may come from another one.
    """
    if not name or "\0" in name:
        return "give a path below the folder of the data set"
    flavours = PurePosixPath(name), PureWindowsPath(name)
    if any(path.anchor for path in flavours) or any(".." in path.parts for path in flavours):
        return "it must stay below the folder of the data set: no .. in it, and no / or drive before it"
    return None


def refuse_link_out(path: Path, folder: Path) -> None:
    """Raise a DataError where links lead from `folder` to a file elsewhere. The folder itself may be a link."""
    try:
        target = path.resolve()
        if target.is_relative_to(folder.resolve()):
            return
    except (OSError, RuntimeError):  # the link leads to itself
        target = path
    raise DataError(
        f"{path} is a link that leads out of {folder}, to {target}; put the file itself there, or make the whole "
        "folder a link"
    )
