"""Draw example.png of what task=figures wrote of the embedded study: python docs/draw_example.py FOLDER/figures.

python train.py -m loss=nll,nll_entropy; python train.py task=evaluate; python train.py task=figures runs=EVALUATION
"""

import sys
from pathlib import Path

from PIL import Image

WIDTH_PX = 900

names = ("bias_maps", "predictions_in_domain")
pictures = [Image.open(Path(sys.argv[1]) / f"{name}_183mm.png").convert("RGB") for name in names]
whole = Image.new("RGB", (pictures[0].width, sum(picture.height for picture in pictures)), "white")
for i, picture in enumerate(pictures):
    whole.paste(picture, (0, sum(above.height for above in pictures[:i])))
small = whole.resize((WIDTH_PX, WIDTH_PX * whole.height // whole.width), Image.Resampling.LANCZOS)
small.save(Path(__file__).with_name("example.png"), optimize=True)
