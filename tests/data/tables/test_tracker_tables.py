"""Small files with made-up values in the forms in which trackers write them, read with their presets.

The picture a.png has 40 x 30 px. Where a screen is needed, it has 200 x 120 px and the picture stands in its middle, so
its corner is at (80, 45).
"""

import pytest

from entreg.config.tables import Columns
from entreg.errors import DataError
from tests.data.tables.conftest import tabs

SCREEN = {"screen_width_px": 200, "screen_height_px": 120}


def test_eyelink_report(read):
    head = ("RECORDING_SESSION_LABEL", "TRIAL_INDEX", "Target", "CURRENT_FIX_X", "CURRENT_FIX_Y", "CURRENT_FIX_START")
    head += ("CURRENT_FIX_DURATION", "EYE_USED")
    table = tabs(
        head,
        ("p1", 1, "A", "90.0", "50.0", 0, 252, "LEFT"),
        ("p1", 1, "A", "100.0", "60.0", 300, 202, "LEFT"),
        ("p1", 1, "A", "101.0", "61.0", 301, 200, "RIGHT"),
        ("p1", 1, "A", "-3270.0", "60.0", 600, 202, "LEFT"),
        ("p1", 1, "A", ".", ".", 650, 202, "LEFT"),
        ("p1", 2, "A", "100.5", "60.0", 10, 202, "LEFT"),
    )
    found, dropped = read("eyelink_report", {"r.xls": table}, SCREEN, columns=Columns(image="target"))
    assert found == [("p1", 1, 20, 15, 300, 202), ("p1", 0, 20.5, 15, 10, 202)]  # two trials on one picture
    assert dropped == {
        "without a place": 1,
        "of the other eye": 1,
        "begun before the picture": 1,
        "with an impossible place": 1,
    }


def pro_lab(*rows, x="Fixation point X (MCSnorm)", more=()):
    head = ("Recording timestamp", "Participant name", "Recording name", "Presented Media name", "Eye movement type")
    head += ("Gaze event duration", "Eye movement type index", x, x.replace("X", "Y"), *more)
    return "\ufeff" + tabs(head, *rows, end="\r\n")


def test_tobii_pro_lab_on_the_medium(read):
    """Indices are counted for each type; fixation 2 goes on from the blank screen to the picture."""
    table = pro_lab(
        (100, "p1", "r1", "black.jpg", "Fixation", 80, 1, "0,5", "0,5"),
        (110, "p1", "r1", "black.jpg", "Fixation", 300, 2, "0,4766", "0,5"),
        (400, "p1", "r1", "a.png", "Fixation", 300, 2, "0,4740", "0,5"),
        (410, "p1", "r1", "a.png", "Saccade", 30, 1, "", ""),
        (440, "p1", "r1", "a.png", "Fixation", 217, 3, "0,25", "0,5"),
        (448, "p1", "r1", "a.png", "Fixation", 217, 3, "0,25", "0,5"),
        (700, "p1", "r1", "a.png", "EyesNotFound", 17, 1, "", ""),
        (720, "p1", "r2", "a.png", "Fixation", 100, 3, "0,75", "0,5"),
    )
    found, dropped = read("tobii", {"export.tsv": table})
    assert found == [("p1", 1, 10, 15, 440, 217), ("p1", 0, 30, 15, 720, 100)]
    assert dropped == {
        "of another Eye movement type": 2,
        "repeated": 2,
        "begun before the picture": 1,
        "on no picture of the folder": 1,
    }


def test_tobii_pro_lab_on_the_display(read):
    """The picture is shown with 80 x 60 px, its corner at (99, 10)."""
    more = ("Presented Media position X (DACSpx)", "Presented Media position Y (DACSpx)", "Presented Media width")
    more += ("Presented Media height",)
    row = (440, "p1", "r1", "a.png", "Fixation", 217, 3, 119, 20, 99, 10, 80, 60)
    found, _ = read("tobii", {"export.tsv": pro_lab(row, x="Fixation point X", more=more)})
    assert found == [("p1", 0, 10, 5, 440, 217)]
    with pytest.raises(DataError, match=r"export.tsv: it does not say where the picture stood .* export the columns"):
        read("tobii", {"export.tsv": pro_lab(row[:9], x="Fixation point X")})


def test_tobii_pro_lab_names_its_units_in_newer_versions(read):
    table = pro_lab(("2000", "p1", "r1", "a.png", "Fixation", 217, 3, ".25", ".5"), x="Fixation point X [MCS norm]")
    table = table.replace("timestamp", "timestamp [\u03bcs]").replace("duration", "duration [ms]")
    assert read("tobii", {"export.tsv": table})[0] == [("p1", 0, 10, 15, 2, 217)]


def test_tobii_studio(read):
    """Each line ends with a tab; off the picture there is no place."""
    head = ("ParticipantName", "RecordingName", "MediaName", "RecordingTimestamp", "FixationIndex", "GazeEventType")
    head += ("GazeEventDuration", "FixationPointX (MCSpx)", "FixationPointY (MCSpx)", "")
    table = tabs(
        head,
        ("p1", "r", "a.png", 10, 4, "Fixation", 200, 12, 20, ""),
        ("p1", "r", "a.png", 20, 4, "Fixation", 200, 12, 20, ""),
        ("p1", "r", "a.png", 220, 9, "Unclassified", 30, "", "", ""),
        ("p1", "r", "a.png", 250, 6, "Fixation", 90, "", "", ""),
        end="\r\n",
    )
    found, dropped = read("tobii", {"data.tsv": "\ufeff" + table})
    assert found == [("p1", 0, 12, 20, 10, 200)]
    assert dropped == {"of another GazeEventType": 1, "repeated": 1, "without a place": 1}


def test_tobii_spreadsheet(read, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in pro_lab((440, "p1", "r1", "a.png", "Fixation", 217, 3, 0.25, 0.5)).strip("\ufeff").splitlines():
        book.active.append([float(cell) if cell.replace(".", "").isdecimal() else cell for cell in line.split("\t")])
    book.save(tmp_path / "t.xlsx")
    assert read("tobii", {"t.xlsx": (tmp_path / "t.xlsx").read_bytes()})[0] == [("p1", 0, 10, 15, 440, 217)]


GAZEPOINT = "MEDIA_ID,MEDIA_NAME,CNT,TIME(2020/01/02 03:04:05.678),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,\n"


def test_gazepoint(read):
    """The last valid row of a medium's number is its fixation, as in the file of fixations."""
    samples = GAZEPOINT + (
        "0,A,1,0.1,0.00000,0.00000,0.1,0.0,1,0,\n"
        "0,A,2,0.2,0.40000,0.40000,0.15,0.05,2,1,\n"
        "0,A,3,0.3,0.50000,0.50000,0.15,0.25,2,1,\n"
        "0,A,4,0.4,0.00000,0.00000,0.15,0.26,2,0,\n"
        "0,A,5,0.5,0.50000,7.43000,0.5,0.1,3,1,\n"
        "1,blank,6,0.1,0.50000,0.50000,0.1,0.1,2,1,\n"
    )
    found, dropped = read("gazepoint", {"User 3_all_gaze.csv": samples}, SCREEN)
    assert found == [("User 3", 0, 20, 15, 150, 250)]
    assert dropped == {
        "of another FPOGV": 2,
        "repeated": 1,
        "on no picture of the folder": 1,
        "with an impossible place": 1,
    }
    fixations = GAZEPOINT + "0,A,3,0.3,0.50000,0.50000,0.15,0.25,2,1,\n"
    assert read("gazepoint", {"User 3_fixations.csv": fixations}, SCREEN)[0] == found


def test_pupil_reference_image(read):
    table = (
        "section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],duration [ms],"
        "fixation detected in reference image,fixation x [px],fixation y [px]\n"
        "s,r1,1,1700000000000000000,0,150,true,10.5,20\ns,r1,2,1700000001000000000,0,90,false,,\n"
    )
    found, dropped = read("pupil", {"a/fixations.csv": table})
    assert [row[:4] for row in found] == [("r1", 0, 10.5, 20)] and found[0][5] == 150
    assert dropped == {"of another fixation detected in reference image": 1}
    raw = table.replace("fixation detected in reference image,", "").replace("true,", "").replace("false,", "")
    with pytest.raises(
        DataError, match="a/fixations.csv: its places are in the picture of the scene camera; use an enrich"
    ):
        read("pupil", {"a/fixations.csv": raw})


def test_pupil_marker_mapper(read):
    table = (
        "section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],duration [ms],"
        "fixation detected on surface,fixation x [normalized],fixation y [normalized]\n"
        "s,r1,1,5000000,0,150,true,0.25,0.2\n"
    )
    assert read("pupil", {"a/fixations.csv": table})[0] == [("r1", 0, 10, 6, 5, 150)]


def test_pupil_surface(read):
    """One row for each frame of the video; y grows upwards."""
    head = "world_timestamp,world_index,fixation_id,start_timestamp,duration,dispersion,norm_pos_x,norm_pos_y,x_scaled,"
    rows = "1,1,7,-2.5,200,1,0.25,0.2,1,1,True\n1,2,7,-2.5,200,1,0.25,0.2,1,1,True\n1,3,8,-2.0,90,1,1.5,.2,1,1,False\n"
    found, dropped = read("pupil", {"fixations_on_surface_A.csv": f"{head}y_scaled,on_surf\n{rows}"})
    assert found == [(0, 10, 24, -2500, 200)] and dropped == {"of another on_surf": 1, "repeated": 1}
    core = "id,start_timestamp,duration,norm_pos_x,norm_pos_y,dispersion,confidence,method\n1,2,3,.1,.1,1,1,gaze\n"
    with pytest.raises(DataError, match="its places are in the picture of the scene camera; export a surface's"):
        read("pupil", {"fixations.csv": core})


def test_imotions(read):
    """The last fixation is repeated on the rows of other sensors."""
    table = tabs(
        (
            "Name",
            "StimulusName",
            "EventSource",
            "FixationSeq",
            "FixationX",
            "FixationY",
            "FixationStart",
            "FixationDuration",
        ),
        ("p1", "a", "ET", "", "", "", "", ""),
        ("p1", "a", "ET", 1, 100, 60, 12, 180),
        ("p1", "a", "EmotivEEG", 1, 100, 60, 12, 180),
        ("p1", "a", "ET", 2, 90, 50, 200, 80),
        ("p1", "BlackInterslide", "ET", 1, 90, 50, 900, 80),
    )
    found, dropped = read("imotions", {"p1.txt": table}, SCREEN)
    assert found == [("p1", 0, 20, 15, 12, 180), ("p1", 1, 10, 5, 200, 80)]
    assert dropped == {"repeated": 1, "without a place": 1, "on no picture of the folder": 1}


def test_titta(read):
    table = tabs(
        ("cutoff", "start", "end", "startT", "endT", "dur", "xpos", "ypos", "participant", "trial"),
        (1, 2, 3, 12.5, 212.5, 200, 100, 60, "p1", "a.jpeg"),
    )
    assert read("titta", {"fixations.txt": table}, SCREEN)[0] == [("p1", 0, 20, 15, 12.5, 200)]


def test_eyelink_asc(read):
    """The line of the fixation at the onset of the picture stands after the message, as lines do by their end."""
    recording = (
        "** CONVERTED FROM p1.edf\n-5051  5051 -3531  3577\n"
        "MSG\t90 DISPLAY_COORDS 0 0 199 119\nSTART\t95 \tLEFT\tRIGHT\tSAMPLES\tEVENTS\n"
        "EVENTS\tGAZE\tLEFT\tRIGHT\tRATE\t 500.00\tTRACKING\tCR\tFILTER\t2\n"
        "MSG\t1000 !V IMGLOAD FILL a.png\n"
        "EFIX L   900\t1100\t202\t  100.0\t   60.0\t   1102\n"
        "EFIX R   902\t1100\t200\t  101.0\t   60.0\t   1102\n"
        "EFIX R   1140\t1398\t260\t  111.0\t   60.0\t   1102\n"
        "EFIX L   1150\t1400\t252\t  110.0\t   65.0\t   1102\n"
        "EFIX L   1450\t1500\t52\t  .\t   .\t   0\n"
        "EFIX L   1550\t1900\t352\t  90.0\t   50.0\t   1102\n"
        "MSG\t2000 !V IMGLOAD FILL a.png\n"
        "EFIX L   1950\t2200\t252\t  90.0\t   50.0\t   1102\n"
        "EFIX L   2300\t2400\t102\t  81.5\t   46.5\t   1102\nEND\t3000 \tSAMPLES\tEVENTS\n"
    )
    found, dropped = read("eyelink_asc", {"p1.asc": recording}, SCREEN, message=r"IMGLOAD .* (\S+)")
    assert found == [("p1", 1, 30, 20, 150, 252), ("p1", 2, 10, 5, 550, 352), ("p1", 1, 1.5, 1.5, 300, 102)]
    assert dropped == {"without a place": 1, "of the other eye": 2, "begun before the picture": 2}


@pytest.mark.parametrize(
    "events, fixation, place",
    [
        ("GAZE LEFT RES", "100.0 60.0 1102 26.1 27.2", (20, 15)),
        ("HREF GAZE LEFT", "-812 311 100.0 60.0 1102", (20, 15)),
        ("HREF LEFT", "-812 311 100.0 60.0 1102", (20, 15)),
        ("HREF LEFT RES", "-812 311 100.0 60.0 1102 26.1 27.2", (20, 15)),
        ("HREF LEFT", "-812 311 1102", "the places of fixations are angles"),
        (None, "-812 311 100.0 60.0 1102", "EFIX has 9 values, and no line EVENTS says which; write the file again"),
        ("GAZE LEFT", "-812 311 100.0 60.0 1102", "EFIX has 9 values, and EVENTS GAZE LEFT allows another number"),
    ],
)
def test_the_line_events_says_which_values_are_the_place(read, events, fixation, place):
    head = f"EVENTS {events}\n" if events else ""
    recording = f"{head}MSG 10 TRIALID a\nEFIX L 20 30 12 {fixation}\n"
    if isinstance(place, str):
        with pytest.raises(DataError, match=rf"p.asc, line \d: {place}"):
            read("eyelink_asc", {"p.asc": recording}, SCREEN, message=r"TRIALID (\S+)")
    else:
        assert read("eyelink_asc", {"p.asc": recording}, SCREEN, message=r"TRIALID (\S+)")[0][0][2:4] == place


def test_messages_that_name_no_picture_are_shown(read):
    with pytest.raises(
        DataError, match=r"p.asc: no message has the form data.message=PIC \(.\); the first ones are 'TRI"
    ):
        read("eyelink_asc", {"p.asc": "MSG 10 TRIALID 1\n"}, SCREEN, message="PIC (.)")


def test_smi_event_statistics(read):
    """German exports have decimal commas; both eyes may have the same numbers."""
    table = tabs(
        (
            "Stimulus",
            "Participant",
            "Trial",
            "Category",
            "Eye L/R",
            "Event Start Trial Time [ms]",
            "Event Duration [ms]",
        )
        + ("Fixation Position X [px]", "Fixation Position Y [px]"),
        ("a.png", "P1", "T1", "Fixation", "Left", "0,0", "180,5", "90,0", "50,0"),
        ("a.png", "P1", "T1", "Fixation", "Left", "200,0", "180,5", "100,0", "60,5"),
        ("a.png", "P1", "T1", "Fixation", "Right", "200,0", "180,5", "100,0", "60,5"),
        ("a.png", "P1", "T1", "Saccade", "Left", "380,0", "20,0", "-", "-"),
    )
    found, dropped = read("smi_begaze", {"statistics.txt": table}, SCREEN)
    assert found == [("P1", 1, 20, 15.5, 200, 180.5)]
    assert dropped == {"of another Category": 1, "of the other eye": 1, "begun before the picture": 1}
    newer = table.replace("Fixation Position", "Visual Intake Position").replace("\tFixation\t", "\tVisual Intake\t")
    assert read("smi_begaze", {"statistics.txt": newer}, SCREEN) == (found, dropped)


def test_smi_events(read):
    """The tables' headers stand above all rows; messages show the pictures; times are microseconds."""
    events = (
        "[BeGaze]\r\nSubject:\tP7\r\nStimulus:\tvideo.avi\r\n\r\nTable Header for Fixations:\r\n"
        "Event Type,Trial,Number,Start,End,Duration,Location X,Location Y,Dispersion X\r\n\r\n"
        "Table Header for User Events:\r\nEvent Type,Trial,Number,Start,Description\r\n\r\n"
        "Fixation L,1,1,900000,980000,80000,100.0,60.0,3\r\nUserEvent,1,1,1000000,# Message: a.png\r\n"
        "Fixation L,1,2,990000,1100000,110000,100.0,60.0,3\r\nFixation L,1,3,1200000,1441786,241786,110.5,60.0,3\r\n"
        "Saccade L,1,1,1441786,1450000,8214,1,2,3\r\nFixation R,1,1,1200000,1441786,241786,110.5,60.0,3\r\n"
    )
    found, dropped = read("smi_begaze", {"p7_events.txt": events}, SCREEN)
    assert [row[:4] for row in found] == [("P7", 1, 30.5, 15)]
    assert found[0][4:] == pytest.approx((200, 241.786))
    assert dropped == {"of the other eye": 1, "begun before the picture": 1, "on no picture of the folder": 1}
