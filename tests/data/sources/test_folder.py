import time

import numpy as np
import pytest
from PIL import Image

from entreg.data.sources import folder
from entreg.errors import DataError


def settings(root, **more):
    return folder.Settings(name="mine", root=str(root), **more)


def write(root, table, images=("a.png", "b10.png", "b2.png"), size=(40, 30)):
    for name in images:
        path = root / "stimuli" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)
    (root / "fixations.csv").write_text(table)
    return root


FULL = """image,subject,order,x,y,duration_s
b2.png,S10,0,20,15,0.2
b2.png,S10,1,3.25,4.5,0.2
a.png,S2,0,20,15,0.2
a.png,S2,1,39.9,29.9,0.2
a.png,S2,2,40,10,0.2
a.png,S10,1,1,2,
"""


def test_rows_are_sorted_by_image_first_and_outside_ones_dropped(tmp_path):
    data = folder.load(settings(write(tmp_path, FULL)))
    assert [s.name for s in data.stimuli] == ["a.png", "b2.png", "b10.png"]
    assert (data.stimuli[0].height_px, data.stimuli[0].width_px) == (30, 40)
    assert data.fixations.image.tolist() == [0, 0, 1]
    assert data.fixations.x.tolist() == [39.9, 1, 3.25]
    assert data.fixations.y.tolist() == [29.9, 2, 4.5]
    assert data.fixations.subject.tolist() == [0, 1, 1]  # S2, S10
    assert data.dropped == {"first of a trial": 2, "outside the image": 1}
    assert data.notes == (f"{tmp_path}: 1 of 3 images have no fixation",)


def test_a_copy_of_a_published_set_is_held_against_its_counts(tmp_path):
    write(tmp_path, FULL)
    assert len(folder.load(settings(tmp_path, expected_images=3, expected_fixations=3)).notes) == 1
    *_, note = folder.load(settings(tmp_path, expected_images=4, expected_fixations=3)).notes
    assert note == f"{tmp_path} is not the published set: 3 images instead of 4"


def test_first_fixations_can_be_kept(tmp_path):
    data = folder.load(settings(write(tmp_path, FULL), drop_first=False))
    assert len(data.fixations.x) == 5
    assert data.dropped == {"outside the image": 1}


def test_subject_and_order_are_optional(tmp_path):
    data = folder.load(settings(write(tmp_path, "y,x,image\n1,2,a.png\n\n3,4,a.png\n")))
    assert data.fixations.subject is None
    assert data.fixations.x.tolist() == [2, 4]
    assert data.dropped == {"outside the image": 0}


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    data = folder.load(settings(write(tmp_path, '\ufeffimage, x, y\r\n"a.png", "2", 3\r\n')))
    assert data.fixations.x.tolist() == [2]


def test_orders_that_count_from_one_are_noted(tmp_path):
    data = folder.load(settings(write(tmp_path, "image,x,y,order\na.png,1,1,1\na.png,2,2,2\n")))
    assert data.dropped["first of a trial"] == 0
    assert "no fixation has order 0" in data.notes[0]


def test_nested_names_and_any_type_of_image(tmp_path):
    root = write(tmp_path, "image,x,y\nin door/1.bmp,1,1\nplain,2,2\n", images=("in door/1.bmp", "2.ppm", "3.tiff"))
    Image.new("RGB", (8, 8)).save(root / "stimuli" / "plain", format="PNG")
    (root / "stimuli" / "notes.txt").write_text("not an image")
    (root / "stimuli" / ".hidden.png").write_text("not an image")
    (root / "stimuli" / "__MACOSX").mkdir()
    (root / "stimuli" / "__MACOSX" / "1.png").write_text("not an image")
    assert [s.name for s in folder.load(settings(root)).stimuli] == ["2.ppm", "3.tiff", "in door/1.bmp", "plain"]


@pytest.mark.parametrize(
    "table, said",
    [
        ("", "has no column image, x, y"),
        ("image:x:y\na.png:1:2\n", "has no column image, x, y: its first line is 'image:x:y'.*separated by commas"),
        ("image,x\na.png,1\n", "has no column y"),
        ("image,x,y\n", "has no rows below its header"),
        ("image,x,y\na.png,1,1\na.png,1\n", "line 3: the row has 2 values and the header 3"),
        ("image,x,y\na.png,1,1\na.png,one,1\n", "line 3: x is 'one', not a finite number"),
        ("image,x,y\na.png,1,-inf\n", "line 2: y is '-inf', not a finite number"),
        ("image,x,y,order\na.png,1,1,first\n", "line 2: order is 'first'"),
        (
            "image,x,y\na.png,1,1\nc.png,1,1\nd.png,1,1\nd.png,1,1\n",
            "line 3: there is no image 'c.png' in .*stimuli .2 such names",
        ),
        ("image,x,y\n../secret.png,1,1\n", "line 2: there is no image '../secret.png'"),
    ],
)
def test_wrong_tables_are_refused_with_their_line(tmp_path, table, said):
    write(tmp_path, table)
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    with pytest.raises(DataError, match=said) as caught:
        folder.load(settings(tmp_path))
    assert str(tmp_path / "fixations.csv") in str(caught.value)


def test_people_are_numbered_in_natural_order_whatever_their_names(tmp_path):
    """Python reads no integer of more than 4300 digits."""
    table = f"image,x,y,subject\na.png,1,1,{'7' * 5000}\na.png,2,2,2\n"
    assert folder.load(settings(write(tmp_path, table))).fixations.subject.tolist() == [1, 0]


def test_a_table_that_is_not_text_is_refused(tmp_path):
    write(tmp_path, "")
    (tmp_path / "fixations.csv").write_bytes(b"image,x,y\na.png,1,1\n\xff\xfe,1,1\n")
    with pytest.raises(DataError, match="line 3: byte 0xff is not UTF-8; save it as CSV in UTF-8"):
        folder.load(settings(tmp_path))


def test_an_undecodable_image_is_named(tmp_path):
    write(tmp_path, "image,x,y\na.png,1,1\n")
    (tmp_path / "stimuli" / "b2.png").write_text("not an image")
    with pytest.raises(DataError, match="b2.png cannot be read as an image"):
        folder.load(settings(tmp_path))


def test_missing_data_say_the_way_out(tmp_path):
    for said in ("no folder stimuli there", "no fixations.csv there"):
        with pytest.raises(DataError) as caught:
            folder.load(settings(tmp_path))
        for part in (str(tmp_path), said, "data.root=PATH", "ood.mine.root=PATH", "data=synthetic needs none"):
            assert part in str(caught.value)
        (tmp_path / "stimuli").mkdir(exist_ok=True)
    (tmp_path / "fixations.csv").write_text("image,x,y\na.png,1,1\n")
    with pytest.raises(DataError, match="no image in stimuli"):
        folder.load(settings(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "/etc/passwd",
        "C:\\\\secret.png",
        "..\\\\secret.png",
        "a.png\0.jpg",
        "",
        ".",
    ],
)
def test_names_of_the_table_never_leave_the_folder(tmp_path, name):
    root = write(tmp_path / "set", f"image,x,y\n{name},1,1\n")
    for place in (tmp_path, root):
        Image.new("RGB", (8, 8)).save(place / "secret.png")
    with pytest.raises(DataError, match=r"fixations.csv, line 2: (there is no image|line contains NUL)"):
        folder.load(settings(root))


def test_links_to_files_elsewhere_are_refused_and_the_whole_folder_may_be_one(tmp_path):
    root = write(tmp_path / "set", "image,x,y\na.png,1,1\n")
    (root / "stimuli").rename(tmp_path / "photos")
    (root / "stimuli").symlink_to(tmp_path / "photos")
    assert len(folder.load(settings(root)).stimuli) == 3
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "photos/c.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=rf"c.png is a link that leads out of {root}/stimuli, to {tmp_path}/secret.png"):
        folder.load(settings(root))


def test_rows_that_repeat_a_place_of_a_trial_count_and_are_noted(tmp_path):
    data = folder.load(settings(write(tmp_path, FULL + "a.png,S10,1,3,2,\n")))
    assert data.fixations.x.tolist() == [39.9, 1, 3, 3.25]
    assert "1 rows repeat the image, subject and order of another; all are used" in data.notes[0]


def test_files_of_formats_that_are_not_read_are_no_stimuli_unless_they_are_named(tmp_path):
    root = write(tmp_path, "image,x,y\na.png,1,1\n")
    (root / "stimuli/figure.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    assert len(folder.load(settings(root)).stimuli) == 3
    (root / "fixations.csv").write_text("image,x,y\nfigure.eps,1,1\n")
    with pytest.raises(DataError, match="figure.eps cannot be read as an image: its format is none of BMP"):
        folder.load(settings(root))


def test_osie_is_read_whole_and_fast(shared):
    began = time.perf_counter()
    data = folder.load(settings(shared / "data" / "osie"))
    assert time.perf_counter() - began < 5  # about half a second; a machine busy with other things gets some air
    assert len(data.stimuli) == 700
    assert {(s.height_px, s.width_px) for s in data.stimuli} == {(600, 800)}
    assert len(data.fixations.x) + sum(data.dropped.values()) == 98321
    assert data.dropped["first of a trial"] == 700 * 15
    assert data.fixations.subject.max() + 1 == 15
    assert np.all(np.diff(data.fixations.image) >= 0)


def test_scene50_is_read_whole(shared):
    data = folder.load(settings(shared / "data" / "scene50"))
    assert len(data.stimuli) == 50
    assert len(data.fixations.x) + sum(data.dropped.values()) == 4246
