import pytest
from PIL import Image

from entreg.config.tables import Columns, Frame, TableData
from entreg.data import recording
from entreg.errors import DataError

PRESET = "forms: [{software: s, columns: {image: image, x: x, y: y, start: t}, start_from: image, time_unit: s}]\n"


@pytest.fixture
def read(tmp_path):
    """read(table, **typed): what is recorded on a.png and b.png of 40 x 30 px."""

    def of(rows, **typed):
        (tmp_path / "stimuli").mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            Image.new("L", (40, 30)).save(tmp_path / "stimuli" / name)
        (tmp_path / "fixations.csv").write_text(rows)
        (tmp_path / "p.yaml").write_text(PRESET)
        return recording.read(TableData(root=str(tmp_path), **typed), tmp_path / "stimuli", with_times=True)

    return of


def test_places_are_pixels_of_the_stored_image(read):
    found = read("image,x,y,duration\nB.PNG,.5,.5,200\n", frame=Frame(unit="shares"))
    assert found.fixations[["image", "x", "y", "duration"]].to_numpy().tolist() == [[1, 20, 15, 200]]


def test_a_presets_table_may_name_other_things_than_the_pictures(read, tmp_path):
    rows = "image,x,y,t\na,1,1,.3\nblack,1,1,.2\n,1,1,.1\na,2,2,0\na,3,3,.6\na,.,3,.9\n"
    found = read(rows, table=str(tmp_path / "p.yaml"))
    assert found.fixations[["x", "order", "start"]].to_numpy().tolist() == [[1, 1, 300], [3, 2, 600]]
    assert found.dropped == {
        "without an image": 1,
        "without a place": 1,
        "begun before the picture": 1,
        "on no picture of the folder": 1,
    }
    assert found.rows_read == 6 and "no picture in" in found.notes[0] and "'black'" in found.notes[0]
    with pytest.raises(DataError, match="line 2: there is no image 'c' in .*1 such name"):
        read("image,x,y,t\nc,1,1,1\n", table=str(tmp_path / "p.yaml"))


def test_impossible_places_are_counted_apart_from_those_outside(read):
    found = read(
        "image,X,y\na.png,3270,1\na.png,50,1\na.png,99,9\n",
        frame=Frame(of="screen", screen_width_px=100, screen_height_px=80),
        columns=Columns(x="X"),
    )
    assert found.fixations["x"].tolist() == [20, 69] and found.dropped == {"with an impossible place": 1}
