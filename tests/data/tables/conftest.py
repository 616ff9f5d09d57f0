"""Small files in the forms in which trackers write them, read with their presets. a.png has 40 x 30 px."""

import pytest
from PIL import Image

from entreg.config.tables import Frame, TableData
from entreg.data import recording


def tabs(*rows, end="\n"):
    return "".join("\t".join(map(str, row)) + end for row in rows)


@pytest.fixture
def read(tmp_path):
    """read(preset, files, **typed): rows of (person, order, x, y, start, duration), and counts of what is left out."""

    def of(preset, files, frame=None, **typed):
        (tmp_path / "stimuli").mkdir(exist_ok=True)
        Image.new("L", (40, 30)).save(tmp_path / "stimuli/a.png")
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        typed = {"file": next(iter(files)), "root": str(tmp_path), "table": preset} | typed
        found = recording.read(TableData(frame=Frame(**(frame or {})), **typed), tmp_path / "stimuli", with_times=True)
        rows = found.fixations
        assert {found.stimuli[i].name for i in rows["image"]} <= {"a.png"}
        columns = [name for name in ("subject", "order", "x", "y", "start", "duration") if name in rows]
        return [tuple(row) for row in rows[columns].to_numpy().tolist()], found.dropped

    return of
