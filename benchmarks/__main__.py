"""Run the benchmarks that the command line chooses, and print and save their figures."""

import argparse
import json
import os
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    against,
    exactness,
    fingerprints,
    fresh,
    generated,
    growth,
    preview,
    shared,
    speed,
    study,
    tables,
)
from benchmarks.plain import PlainStep
from entreg.distributed.hardware import processor_name
from entreg.features.recipe import Recipe
from entreg.io import files
from entreg.model import step_library
from entreg.model.deepgaze3 import DeepGaze3

FOLDER = Path(__file__).parents[1] / "bench"
# key, meaning, sign and bound (None: reported without one)
TABLE = (
    ("train_step_speedup", "training step: times faster than the published one", ">=", 500),
    ("train_ms_per_image", "  from the store, ms per image", "", None),
    ("reference_ms_per_image", "  as published, batch 4, ms per image", "", None),
    ("backbone_share_percent", "  the backbone's share of the published step, %", "", None),
    ("train_step_speedup_against_fastest_backbone", "  against the backbone's fastest format and precision", "", None),
    ("compiled_step_ratio", "step of one run alone, compiled: share of PyTorch's time", "<=", 0.36),
    ("compiled_six_together_ratio", "  six runs together", "<=", 0.5),
    ("compiled_entropy_added_ratio", "  what the entropy term adds in every batch", "<=", 0.36),
    ("log_density_max_abs_diff_nats", "log density: greatest difference, nats", "<=", 1e-5),
    ("gradient_max_rel_diff", "gradients: greatest relative difference", "<=", 1e-3),
    ("store_precision_ig_diff_bits", "IG changed by a float16 store, bit/fixation", "<=", 0.002),
    ("entropy_overhead_every10_percent", "entropy term every 10 batches, % of a step", "<=", 10),
    ("entropy_overhead_every1_percent", "entropy term every batch, % of a step", "<=", 60),
    ("store_build_efficiency", "building the store: share of the backbone's rate", ">=", 0.8),
    ("store_build_efficiency_against_direct_convolution", "  against the backbone's by direct convolution", "", None),
    ("shared_entreg_alone_of_libgomp", "training: share of its speed where waiting threads spin as ever", ">=", 0.95),
    ("shared_entreg_kept", "  beside two busy processes: share of its speed alone", ">=", 0.45),
    ("shared_libgomp_kept", "  the same where waiting threads spin as ever", "", None),
    ("shared_asleep_kept", "  the same where waiting threads sleep at once", "", None),
    ("shared_asleep_alone_of_libgomp", "  where they sleep at once, alone: share of where they spin as ever", "", None),
    ("table_ratio", "reading a table of fixations: share of reading it row by row", "<=", 0.35),
    ("table_s_per_million_rows", "  seconds per million rows of six columns", "", None),
    ("table_bytes_per_value", "  memory, bytes per value that is kept", "<=", 16),
    ("preview_s", "task=preview of a thousand images, s", "<=", 10),
    ("fingerprints_s", "fingerprint of 20,000 images of 70 kB, every byte read, s", "<=", 1.5),
    ("fingerprints_known_s", "  where their files did not change, s", "", None),
    ("train_rss_gb", "anonymous memory of a training, GB", "<=", 2),
    ("beyond_memory_store_gb", "a store larger than the memory, GB", "", None),
    ("beyond_memory_rss_gb", "  anonymous memory of its training, GB", "<=", 2),
    ("beyond_memory_ms_per_image", "  read from the disk, ms per image", "", None),
    ("against_alone", "step of one run alone: share of commit ae4a8f4's", "<=", 0.36),
    ("against_six", "  six runs together", "<=", 0.5),
    ("against_eighteen", "  eighteen runs together", "<=", 0.45),
    ("against_entropy", "  what the entropy term adds in every batch", "<=", 0.36),
    ("against_table", "  reading a table of a million fixations", "<=", 0.35),
    ("against_help", "  train.py --help", "<=", 0.6),
    ("against_tiny_training", "  a tiny training", "<=", 0.7),
    ("against_one_photo", "  predicting one photo", "<=", 0.6),
    ("against_photos", "  predicting 24 photos, with pictures", "<=", 0.55),
    ("against_finished_sweep", "  a finished sweep of 60 runs, given again", "<=", 0.4),
    ("study_minutes", "study of 1003 + 50 images, both arms together, minutes", "<=", 9.5),
    ("study_beyond_store_percent", "  share of its epochs and its evaluation, %", "<=", 20),
    ("study_rss_anon_gb", "  anonymous memory of its trainings and of building its store, GB", "", None),
    ("next_run_minutes", "a further run on the same data, minutes", "<=", 3),
)


def machine(recipe: Recipe) -> dict[str, Any]:
    """Return what was measured on, how busy it was before, and how features are computed on it."""
    return {
        "processor": processor_name("cpu"),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "compiled_step": step_library.description(next(iter(step_library.available()), step_library.TORCH)),
        "vector_instructions": re.findall(r"CPU capability usage: (\S+)", torch.__config__.show())[0],
        "backbone_precision": str(recipe.precision),
        "convolution": recipe.convolution,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def quick(folder: Path) -> dict[str, Any]:
    """Return all figures but the study's."""
    print("exactness and the store's precision (12 backbone passes)", flush=True)
    (folder / "images").mkdir()
    pictures = generated.pictures(folder / "images", 8, seed=0)
    inputs, few = exactness.Inputs(pictures), exactness.Inputs(generated.Pictures(pictures.paths[: speed.PLAIN_BATCH]))
    plain = PlainStep(generated.backbone(), dict(DeepGaze3(2560, 8.0, 0).named_parameters()))
    figures: dict[str, Any] = exactness.against_plain(few, plain) | exactness.of_the_stored_precision(inputs)
    print("reading a table", flush=True)
    figures |= tables.measure(folder)
    print("previewing a data set", flush=True)
    figures |= preview.measure(folder)
    print("fingerprints", flush=True)
    figures |= fingerprints.measure(folder)
    print("training steps", flush=True)
    trained = generated.study(folder / "store", 128, generated.settings())
    figures |= speed.steps(trained, inputs, folder) | speed.entropy(trained, folder)
    figures |= speed.compiled(trained, folder)
    print("building the store", flush=True)
    figures |= speed.store(generated.Pictures(pictures.paths[:4]), folder / "built")
    print("beside busy processes", flush=True)
    figures |= shared.measure()
    return figures | growth.measure(folder)


def table(figures: dict[str, Any]) -> str:
    """Return a line for each figure, with its bound and whether it is reached."""
    lines = []
    for key, meaning, sign, bound in TABLE:
        if key in figures:
            value = figures[key]
            reached = bound is None or (value <= bound if sign == "<=" else value >= bound)
            shown = "" if bound is None else f"{sign} {bound:g}".ljust(10) + ("reached" if reached else "NOT REACHED")
            lines.append(f"{meaning:<66} {value:>10.4g}  {shown}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed, memory and exactness.")
    parser.add_argument("--study", action="store_true", help="a whole study at MIT1003's size instead (half an hour)")
    parser.add_argument("--beyond-memory", action="store_true", help="a store larger than the memory instead")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="speed against a checkout of ae4a8f4 instead")
    arguments = parser.parse_args()
    fresh.prepare()
    path = FOLDER / "bench.json"
    # a study is started as a user would start it, with the default settings
    where = machine(generated.recipe() if arguments.study else speed.fastest())
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    with tempfile.TemporaryDirectory(prefix="entreg-bench-") as temporary:
        folder = Path(temporary)
        if arguments.study:
            figures = study.measure(folder) | {"study_machine": where}
        elif arguments.beyond_memory:
            figures = growth.beyond_memory(folder)
        elif arguments.against:
            figures = against.measure(arguments.against.absolute(), folder) | {"against_machine": where}
        else:
            figures = quick(folder) | {"machine": where}
    FOLDER.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.is_file() else {}
    known |= figures
    files.write_json(path, known)
    if "growth" in figures:
        growth.plot(known["growth"], FOLDER / "growth.png")
    print(f"\n{table(known)}\n\nwritten: {path}")
