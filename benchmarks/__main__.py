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
    figures,
    fingerprints,
    fresh,
    generated,
    growth,
    long_commands,
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

README = Path(__file__).parents[1] / "README.md"
FOLDER = README.with_name("bench")


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
    found: dict[str, Any] = exactness.against_plain(few, plain) | exactness.of_the_stored_precision(inputs)
    print("reading a table", flush=True)
    found |= tables.measure(folder)
    print("previewing a data set", flush=True)
    found |= preview.measure(folder)
    print("fingerprints", flush=True)
    found |= fingerprints.measure(folder)
    print("training steps", flush=True)
    trained = generated.study(folder / "store", 128, generated.settings())
    found |= speed.steps(trained, inputs, folder) | speed.entropy(trained, folder)
    found |= speed.compiled(trained, folder)
    print("building the store", flush=True)
    found |= speed.backbones(generated.Pictures(pictures.paths[:4])) | {"store_bytes_ratio": speed.store_bytes_ratio()}
    found |= speed.store(generated.Pictures(pictures.paths[:4]), folder / "built")
    print("beside busy processes", flush=True)
    found |= shared.measure()
    return found | growth.measure(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed, memory and exactness.")
    parser.add_argument("--study", action="store_true", help="what takes minutes, such as a whole study")
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
        if arguments.study and arguments.against:
            measured = long_commands.measure(arguments.against.absolute(), folder) | {"against_machine": where}
        elif arguments.study:
            measured = study.measure(folder) | {"study_machine": where}
        elif arguments.beyond_memory:
            measured = growth.beyond_memory(folder)
        elif arguments.against:
            measured = against.measure(arguments.against.absolute(), folder) | {"against_machine": where}
        else:
            measured = quick(folder) | {"machine": where}
    FOLDER.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.is_file() else {}
    known |= measured
    files.write_json(path, known)
    if "growth" in measured:
        growth.plot(known["growth"], FOLDER / "growth.png")
    figures.write_markdown(README, known)
    print(f"\n{figures.lines(known)}\n\nwritten: {path}, {README.name}")
    for row in figures.missed(known):
        print(f"falls short: {row}")
