#!/bin/sh
# Fixations of an EyeLink recording vanish without a word where edf2asc writes ten values for each.
#
# Software   pymovements 0.28.0, eyelinkparser 0.17.5 (Python 3.11)
# Guess      written down before: both take the last coordinates of a line, so that with head-referenced events
#            (EVENTS HREF ...) angles are taken for pixels, and events with a resolution (EVENTS GAZE ... RES) are read.
# Seen       an EFIX line has eight values (GAZE), or ten: with the resolution at its end (edf2asc's -res), or with
#            head-referenced angles before the gaze position. The same fixation, at (960, 540) for 101 ms:
#              gaze      pymovements 1 fixation, eyelinkparser 1 at (960, 540)
#              gaze+res  pymovements 1 fixation, eyelinkparser NONE
#              href      pymovements NONE,       eyelinkparser NONE
#            No error, no warning: the trial looks as if nobody had fixated anything.
# Here       task=import data.table=eyelink_asc reads all three (tests/data/tables/test_tracker_tables.py).
# Needs      Python 3.10 or newer and a package index. Fails where the behaviour has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check pymovements==0.28.0 eyelinkparser==0.17.5
cat > "$place/read.py" <<'PYTHON'
import logging
import sys
import warnings
from pathlib import Path

import pymovements
from eyelinkparser import parse

warnings.simplefilter("ignore")
logging.disable()
place = Path(sys.argv[1])
HEAD = """** CONVERTED FROM p.edf
MSG\t1000 DISPLAY_COORDS 0 0 1919 1079
START\t1000 \tRIGHT\tSAMPLES\tEVENTS
EVENTS\t{kind}\tRIGHT\tRATE\t1000.00\tTRACKING\tCR\tFILTER\t2{res}
SAMPLES\tGAZE\tRIGHT\tRATE\t1000.00\tTRACKING\tCR\tFILTER\t2
MSG\t1001 start_trial 0
MSG\t1001 start_phase 1
SFIX R   1003
1003\t  960.0\t  540.0\t 1000.0\t...
EFIX R   1003\t1103\t101\t{values}
MSG\t1105 end_phase 1
MSG\t1106 end_trial
END\t1110 \tSAMPLES\tEVENTS\tRES\t  40.0\t  40.0
"""
GAZE = "  960.0\t  540.0\t   1000"
FORMS = {
    "gaze": HEAD.format(kind="GAZE", res="", values=GAZE),
    "gaze+res": HEAD.format(kind="GAZE", res="\tRES", values=f"{GAZE}\t  40.00\t  40.00"),
    "href": HEAD.format(kind="HREF", res="", values=f" -5000.0\t  300.0\t{GAZE}"),
}
for name, text in FORMS.items():
    folder = place / name
    folder.mkdir()
    (folder / "p.asc").write_text(text)
    events = pymovements.gaze.from_asc(folder / "p.asc", events=True).events.frame
    parsed = parse(folder=str(folder))
    xy = [[float(v) for v in parsed[column][0]] for column in ("fixxlist_1", "fixylist_1")]
    print(f"{name}: pymovements {len(events)} fixations, eyelinkparser x {xy[0]} y {xy[1]}")
PYTHON
"$place/venv/bin/python" "$place/read.py" "$place" | sed -n 's/^\.*\(.*: .*\)/\1/p' | tee "$place/seen.txt"
cat > "$place/expected.txt" <<'TEXT'
gaze: pymovements 1 fixations, eyelinkparser x [960.0] y [540.0]
gaze+res: pymovements 1 fixations, eyelinkparser x [] y []
href: pymovements 0 fixations, eyelinkparser x [] y []
TEXT
diff "$place/expected.txt" "$place/seen.txt" && echo "as found"
