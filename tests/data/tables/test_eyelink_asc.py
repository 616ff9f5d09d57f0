from entreg.config.tables import TableData
from entreg.data.tables import eyelink_asc
from entreg.data.tables.presets import forms


def test_a_fixation_is_on_the_picture_on_which_it_started_or_the_one_that_came_during_it(tmp_path):
    recording = (
        "MSG 100 PIC a\nEFIX L 50 90 42 1 1 1\nEFIX L 90 120 32 1 1 1\nEFIX L 150 190 42 1 1 1\nMSG 200 PIC b\n"
        "EFIX L 195 220 27 1 1 1\nEFIX L 230 330 102 1 1 1\nEND 300 SAMPLES\nEFIX L 310 320 12 1 1 1\n"
    )
    (tmp_path / "p.asc").write_text(recording)
    settings = TableData(table="eyelink_asc", message="PIC (.)")
    table, _ = eyelink_asc.open_table(tmp_path / "p.asc", settings, forms(settings)[0])
    assert [(row[0], row[2]) for row in table.rows] == [
        (None, 50),
        ("a", -10),
        ("a", 50),
        ("b", -5),
        ("b", 30),
        (None, 10),
    ]
    assert table.lines == [2, 3, 4, 6, 7, 9]
