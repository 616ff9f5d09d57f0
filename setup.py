"""Build the compiled training step, once for each instruction set; pyproject.toml holds everything else.

Each version is optional: where it cannot be built, entreg computes with another one or with PyTorch, and says so.
"""

import hashlib
import platform
from pathlib import Path

from setuptools import Extension, setup

SOURCES = sorted(Path("entreg/model/step").glob("*.[ch]"))
# a library that was built from other sources is not used: `entreg.model.step_library` compares
DIGEST = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
VERSIONS: dict[str, list[str]] = {"c": []}
if platform.machine() in ("x86_64", "AMD64"):
    VERSIONS |= {"avx2": ["-mavx2", "-mfma", "-mf16c"], "avx512": ["-mavx512f", "-mfma", "-mf16c"]}

setup(
    ext_modules=[
        Extension(
            f"entreg.model._step_{version}",
            ["entreg/model/step/step.c"],
            depends=[str(path) for path in SOURCES],
            define_macros=[("SOURCES", f'"{DIGEST}"')],
            extra_compile_args=["-std=gnu11", "-O3", *flags],
            libraries=["m"],
            optional=True,
        )
        for version, flags in VERSIONS.items()
    ]
)
