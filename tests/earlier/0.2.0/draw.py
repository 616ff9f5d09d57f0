"""Draw the images and fixations of tests/earlier/0.2.0: flat rectangles, which people look at."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

random = np.random.default_rng(0)
for name, count in (("photos", 8), ("foreign", 4)):
    stimuli = Path("data", name, "stimuli")
    stimuli.mkdir(parents=True)
    with (stimuli.parent / "fixations.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "subject", "x", "y"])
        for i in range(count):
            width, height = (72, 96) if i == 1 else (96, 72)
            image = np.full((height, width, 3), random.integers(60, 200, 3), dtype=np.uint8)
            for _ in range(4):
                x, y = int(random.integers(0, width - 20)), int(random.integers(0, height - 20))
                image[y : y + 20, x : x + 20] = random.integers(0, 256, 3)
                for subject in range(3):
                    at = random.uniform(0, 20, 2).round(2)
                    table.writerow([f"{i}.png", subject, round(x + at[0], 2), round(y + at[1], 2)])
            Image.fromarray(image).save(stimuli / f"{i}.png", optimize=True)
