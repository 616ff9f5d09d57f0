"""task=import: a tracker's file becomes fixations.csv once, and data=folder reads that."""

import hashlib

import pytest
import yaml
from PIL import Image

from entreg.cli.execution import checked
from entreg.data.sources import folder as own
from entreg.errors import DataError, SettingError
from entreg.runs.folder import RunFolder
from entreg.tasks import perform

REPORT = (
    "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tpage_name\tCURRENT_FIX_X\tCURRENT_FIX_Y\tCURRENT_FIX_START\tCURRENT_FIX_DURATION\n"
    "p1\t1\tA\t100.0\t60.0\t0\t250\n"
    "p1\t1\tA\t110.0\t65.0\t300\t202\n"
    "p1\t1\tA\t3270.0\t65.0\t520\t100\n"
    "p1\t1\tA\t10.0\t65.0\t700\t90\n"
    "p1\t1\tA\t80.5\t45.0\t900\t180\n"
    "p2\t1\tblank\t100.0\t60.0\t20\t250\n"
)


@pytest.fixture
def imported(composed, tmp_path):
    """imported(*words): what task=import returns with them; data lie in tmp_path/lab."""
    lab = tmp_path / "lab"
    (lab / "stimuli").mkdir(parents=True)
    Image.new("L", (40, 30)).save(lab / "stimuli/a.png")
    (lab / "report.xls").write_text(REPORT)

    def run(*words):
        typed = ["task=import", "data=folder", f"data.root={lab}", "data.file=report.xls", "data.table=eyelink_report"]
        return perform(checked(composed(*typed, *words)), RunFolder(tmp_path / "run"))

    return run


SCREEN = ("data.frame.screen_width_px=200", "data.frame.screen_height_px=120", "data.columns.image=page_name")


def test_fixations_and_what_they_were_made_of_are_written(imported, tmp_path, caplog):
    """The image of 40 x 30 px stood in the middle of 200 x 120: its corner at (80, 45)."""
    caplog.set_level("INFO")
    assert imported(*SCREEN) == 2
    assert (tmp_path / "lab/fixations.csv").read_text() == (
        "image,subject,order,x,y,start,duration\na.png,p1,1,30.0,20.0,300.0,202.0\na.png,p1,4,0.5,0.0,900.0,180.0\n"
    )
    said = yaml.safe_load((tmp_path / "lab/dataset.yaml").read_text())
    assert said["source"]["files"] == {"report.xls": f"sha256:{hashlib.sha256(REPORT.encode()).hexdigest()}"}
    assert said["source"]["frame"] == {"screen_width_px": 200.0, "screen_height_px": 120.0}
    left_out = {
        "begun before the picture": 1,
        "on no picture of the folder": 1,
        "with an impossible place": 1,
        "outside the image": 1,
    }
    assert said["counts"] == {"images": 1, "people": 1, "rows_read": 6, "fixations": 2, "left_out": left_out}
    assert "6 rows -> 2 fixations; left out: 1 begun before the picture, 1 on no picture" in caplog.text
    data = own.load(own.Settings(name="lab", root=str(tmp_path / "lab")))
    assert data.fixations.x.tolist() == [30, 0.5]


def test_nothing_is_overwritten_and_nothing_half_written(imported, tmp_path):
    for name in ("dataset.yaml", "fixations.csv"):
        (tmp_path / "lab" / name).write_text("mine")
        with pytest.raises(
            DataError, match=f"lab/{name} is there already, and an import changes nothing; rename or remove"
        ):
            imported(*SCREEN)
        assert (tmp_path / "lab" / name).read_text() == "mine"
        (tmp_path / "lab" / name).unlink()
    with pytest.raises(SettingError, match="data.frame.screen_width_px is needed"):
        imported("data.columns.image=page_name")
    assert sorted(path.name for path in (tmp_path / "lab").iterdir()) == ["report.xls", "stimuli"]


def test_what_the_files_do_not_say_is_asked_for(imported):
    with pytest.raises(
        SettingError, match="data.table=eyelink_report needs data.columns.image: the report names the pict"
    ):
        imported()
    with pytest.raises(SettingError, match="data=folder data.root=FOLDER data.file=FILE data.table=PRESET"):
        imported("data.file=fixations.csv", *SCREEN)
    with pytest.raises(SettingError) as error:
        imported("data.table=null", "data.frame.origin=top_left")
    assert "data.frame.of: whether" in str(error.value) and "data.frame.index_base: whether" in str(error.value)
    assert "origin" not in str(error.value)


def test_a_file_is_also_looked_for_where_the_command_is_typed(imported, tmp_path, monkeypatch):
    (tmp_path / "lab/report.xls").rename(tmp_path / "report.xls")
    with pytest.raises(DataError, match="no report.xls there"):
        imported(*SCREEN)
    monkeypatch.chdir(tmp_path)
    assert imported(*SCREEN) == 2


def test_without_a_preset_columns_and_frame_are_typed(imported, tmp_path):
    (tmp_path / "lab/own.csv").write_text("Bild;X;Y\na;1,5;2,5\n")
    frame = ("data.frame={origin: top_left, of: image, index_base: 1}", "data.columns={image: bild}")
    assert imported("data.table=null", "data.file=own.csv", *frame) == 1
    assert (tmp_path / "lab/fixations.csv").read_text() == "image,x,y\na.png,0.5,1.5\n"
