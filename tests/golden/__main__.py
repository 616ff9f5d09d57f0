import argparse
import sys
from pathlib import Path

from tests.golden import BOUNDS, differences

parser = argparse.ArgumentParser(prog="python -m tests.golden", description="Hold golden vectors against the model.")
parser.add_argument("files", nargs="+", type=Path, metavar="FILE.npz")
parser.add_argument("--weights", help="VGG-19 weights, needed by vectors that start from a photo")
arguments = parser.parse_args()

past = False
for path in arguments.files:
    for name, difference in differences(path, arguments.weights).items():
        bound = BOUNDS[name]
        too_far = bound is not None and not difference <= bound
        past |= too_far
        verdict = "" if bound is None else f" (bound {bound:.0e}){' PAST' if too_far else ''}"
        print(f"{path.name}: {name} {difference:.2e}{verdict}")
sys.exit(past)
