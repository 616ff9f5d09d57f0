"""Tables of fixations, as people and their programs write them."""

import time

import pytest

from entreg.config.tables import Columns, TableData
from entreg.data import fixation_table
from entreg.errors import DataError

HEADER = "image,subject,order,x,y\n"


@pytest.fixture
def read(tmp_path):
    """read(content): the table in a file that holds it."""

    def of(content: str | bytes, **more) -> fixation_table.Table:
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / "fixations.csv").write_bytes(content)
        return fixation_table.read(TableData(root=str(tmp_path), **more))

    return of


def test_columns_are_numbers_and_names_and_rows_know_their_line(read):
    found = read(HEADER + "b.png,S10,0,1.5,2\na.png,S2,1,3,4e0\n\nb.png,S2,2, 5,6\n")
    rows = found.fixations
    assert found.names() == ["b.png", "a.png"] and [found.place_of(row)[-6:] for row in range(3)] == [
        "line 2",
        "line 3",
        "line 5",
    ]
    assert rows["image"].tolist() == ["b.png", "a.png", "b.png"]
    assert rows["x"].tolist() == [1.5, 3, 5] and rows["y"].tolist() == [2, 4, 6]
    assert rows["subject"].tolist() == ["S10", "S2", "S2"]
    assert rows["order"].tolist() == [0, 1, 2] and len(found) == found.rows_read == 3


def test_columns_that_are_not_there_are_none_and_others_are_ignored(read):
    found = read("note,y,x,image,note\n?,1,2,a.png,\n")
    assert [*found.fixations] == ["image", "x", "y"]
    assert found.fixations[["x", "y"]].to_numpy().tolist() == [[2, 1]]
    assert found.repeated() == 0


def test_a_table_without_rows_is_empty(read):
    assert len(read(HEADER)) == read(HEADER).repeated() == 0


def test_rows_of_the_same_place_of_a_trial_are_counted(read):
    rows = "a,S1,1,1,1\na,S1,2,1,1\na,S1,1,1,1\na,S2,1,1,1\nb,S1,1,1,1\na,S1,1,9,9\n"
    assert read(HEADER + rows).repeated() == 2


@pytest.mark.parametrize(
    "content",
    [
        '\ufeffimage, x, y\r\n"a.png", "2", 3\r\n'.encode(),
        b"image,x,y\ra.png,2,3\r",
        b"image,x,y\n'a.png,2,3",
    ],
    ids=["byte order mark and CRLF", "CR", "no last line end"],
)
def test_other_line_ends_and_a_byte_order_mark_are_read(read, content):
    assert read(content).fixations[["x", "y"]].to_numpy().tolist() == [[2, 3]]


@pytest.mark.parametrize("mark", ["", ".", "-", "NaN", "NA", "n/a", "-32768", "-32768.0"])
def test_fixations_without_a_place_are_counted(read, mark):
    found = read(f"image,x,y\na.png,{mark},1\na.png,2,3\na.png,4,{mark}\na.png,-1,-1\na.png,-1,5\n")
    assert found.fixations[["x", "y"]].to_numpy().tolist() == [[2, 3], [-1, 5]]
    assert found.dropped == {"without a place": 3} and found.rows_read == 5
    assert found.place_of(found.fixations.index[1]).endswith("fixations.csv, line 6")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "has no column image, x, y"),
        ("image,x,y\na.png,1,1\n".encode("utf-16-be"), "has no column image, x, y"),
        ("image,x,y\na.png,1,1\nbäume.png,1,1\n".encode("latin-1"), ", line 3: byte 0xe4 is not UTF-8; save it as CSV"),
        (b"image,x,y,x\na.png,1,1,2\n", "has the column x twice: its first line is 'image,x,y,x'; rename one"),
        (b"image:x:y\na.png:1:2\n", "has no column .*'image:x:y'.*separated by commas, tabs"),
        (b"image,x,y\na.png,1\n", "line 2: the row has 2 values and the header 3; correct"),
        (b"image,x,y\na.png,1e999,1\n", "line 2: x is '1e999', not a finite number; leave out such rows"),
        (b"image,x,y\na.png,1_5,1\n", "line 2: x is '1_5', not a finite number"),
        (b'image,x,y\na.png,"1,5",1\n', "line 2: x is '1,5', not a finite number; .*data.text.decimal=comma"),
        (b"image,x,y\na.png,1,1\na.png,lost,1\n", "line 3: x is 'lost', not a finite number"),
        (b"image,x,y,order\na.png,1,1,\n", "line 2: the fixation has no order"),
        (b'image,x,y\n"a.png,1,1\n' + b"b.png,1,1\n" * 20000, "field larger than field limit"),
        (b"image,x,y\na.png," + b"9" * 100 + b"x,1\n", "line 2: x is '9{40}', not"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(read, tmp_path, content, said):
    with pytest.raises(DataError, match=rf"^{tmp_path}/fixations.csv.*{said}") as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_columns_are_named_and_capitals_do_not_matter(read):
    columns = Columns(image="Picture", x="Fix X [px]", y="fix y [PX]", order="N")
    found = read("PICTURE;FIX X [px];Fix Y [px];n\na;1,5;2;3\n", columns=columns)
    assert found.fixations[["x", "y", "order"]].to_numpy().tolist() == [[1.5, 2, 3]]


def test_the_order_is_that_of_the_starts_within_image_and_person(read):
    found = read("image,subject,start,x,y\na,S1,900,1,1\na,S2,10,2,1\nb,S1,20,3,1\na,S1,100,4,1\n")
    assert found.fixations["order"].tolist() == [1, 0, 0, 0]


def test_a_filter_keeps_rows_by_their_values(read):
    kinds = "a,1,1,Fixation,TRUE,0\na,2,1,Saccade,true,0\na,3,1,fixation,true,1.0\na,4,1,Fixation,,1\n"
    table = f"image,x,y,type,valid,n\n{kinds}"
    found = read(table, filter={"Type": "Fixation", "valid": [True]})
    assert found.fixations["x"].tolist() == [1, 3]
    assert found.dropped == {"of another Type": 1, "of another valid": 1}
    assert read(table, filter={"n": [1]}).fixations["x"].tolist() == [3, 4]
    with pytest.raises(DataError, match="has no column eye: "):
        read(table, filter={"eye": ["L"]})


SAMPLES = "image,subject,number,order,x,y\na,S1,4,0,1,1\na,S1,4,0,1,1\na,S1,5,1,2,2\na,S2,4,0,3,3\nb,S1,4,0,9,9\n"


def test_a_key_makes_one_fixation_of_its_rows(read):
    found = read(SAMPLES, key=["image", "number"])
    assert found.fixations["x"].tolist() == [1, 2, 3, 9] and found.dropped == {"repeated": 1} and found.rows_read == 5


def test_samples_without_a_key_are_refused(read):
    with pytest.raises(
        DataError, match=r"fixations.csv, line 3: the row repeats number and place .* data.key=\[COLUMN"
    ):
        read(SAMPLES)


def test_of_two_eyes_one_is_used_in_each_trial_and_this_is_said(read):
    eyes = "image,subject,eye,x,y\na,S1,L,1,1\na,S1,R,2,1\na,S1,R,3,1\na,S2,L,4,1\na,S2,R,5,1\n"
    found = read(eyes)
    assert found.fixations["x"].tolist() == [2, 3, 4]  # as many in S2's: the first in the alphabet
    assert found.dropped == {"of the other eye": 2} and "both eyes were recorded" in found.notes[0]
    assert read(eyes, filter={"eye": ["L"]}).fixations["x"].tolist() == [1, 4]


def test_each_eye_may_have_a_file_of_its_own(tmp_path):
    for eye, places in {"left": (1, 2), "right": (1, 2, 3)}.items():
        rows = "".join(f"a,S1,{eye},{i},{x},1\n" for i, x in enumerate(places))
        (tmp_path / f"{eye}.csv").write_text(f"image,subject,eye,order,x,y\n{rows}")
    found = fixation_table.read(TableData(root=str(tmp_path), file="*.csv"))
    assert found.fixations["x"].tolist() == [1, 2, 3] and found.dropped == {"of the other eye": 2}
    assert "eye" not in found.fixations and found.place_of(found.fixations.index[0]).endswith("right.csv, line 2")


def test_a_link_of_git_annex_to_what_is_not_here_is_named(tmp_path):
    (tmp_path / "fixations.csv").symlink_to(".git/annex/objects/a")
    with pytest.raises(
        DataError, match="fixations.csv is a link to a file that is not there, .* get it .git annex get.$"
    ):
        fixation_table.read(TableData(root=str(tmp_path)))


def test_several_files_are_several_people(tmp_path):
    for number in (10, 2):
        (tmp_path / f"User {number}_fix.csv").write_text(f"image,x,y\na,{number},1\nb{number},3,4\n")
    found = fixation_table.read(TableData(root=str(tmp_path), file="User *.csv", subject_from=r"User (\d+)"))
    assert found.fixations["subject"].tolist() == ["10", "10", "2", "2"]
    assert found.names() == ["a", "b10", "b2"] and found.place_of(3) == f"{tmp_path}/User 2_fix.csv, line 3"
    found = fixation_table.read(TableData(root=str(tmp_path), file="User *.csv"))
    assert found.fixations["subject"].tolist() == ["User 10_fix"] * 2 + ["User 2_fix"] * 2
    with pytest.raises(DataError, match=r"User 10_fix.csv: its name does not match data.subject_from=P\(\.\)"):
        fixation_table.read(TableData(root=str(tmp_path), file="User *.csv", subject_from="P(.)"))


def test_a_name_of_thousands_of_digits_is_read(read):
    found = read(f"{HEADER}a,{'7' * 5000},1,1,1\na,2,1,1,1\n")
    assert found.fixations["subject"].tolist() == ["7" * 5000, "2"]


@pytest.mark.slow
def test_ten_million_rows(tmp_path):
    """How long it takes is printed by pytest -s."""
    import resource

    path, n = tmp_path / "fixations.csv", 10_000_000
    some = 100_000
    lines = "".join(f"{i % 1000}.png,S{i % 50},{i % 7},{i % 640}.25,{i % 480}.5,0.2\n" for i in range(some))
    with path.open("w") as file:
        file.write("image,subject,order,x,y,duration_s\n")
        for _ in range(n // some):
            file.write(lines)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = fixation_table.read(TableData(root=str(tmp_path)))
    seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{path.stat().st_size / 1e6:.0f} MB, {seconds:.0f} s, {peak / 1e6:.2f} GB")
    assert len(found) == n and found.fixations["x"][:3].tolist() == [0.25, 1.25, 2.25]
    assert peak * 1024 < 2 * n * 8 * 5  # twice the five columns that are kept
    began = time.perf_counter()
    assert found.repeated() == n - 7000  # the image tells the subject, and 1000 and 7 have no common factor
    print(f"repeated: {time.perf_counter() - began:.1f} s")
