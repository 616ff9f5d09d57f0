"""The package: what importing it does, before PyTorch is loaded, and the lowest versions of what it needs."""

import os
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.conftest import ROOT


def test_importing_entreg_loads_nothing_but_itself_and_offers_what_it_lists():
    code = (
        "import sys; before = {*sys.modules}; import entreg\n"
        "print({name.partition('.')[0] for name in {*sys.modules} - before} - set(sys.stdlib_module_names))\n"
        "print([name for name in entreg.__all__ if getattr(entreg, name).__name__ != name])\n"
        "print({*entreg.__all__} - {*dir(entreg)}, hasattr(entreg, 'nothing'))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = (sys.executable, "-c", code)
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{'entreg'}", "[]", "set() False"]


@pytest.mark.parametrize(
    "given, spins",
    [
        ({}, "20000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, None),
    ],
    ids=str,
)
def test_waiting_threads_spin_shortly_unless_the_user_has_said_how(given, spins):
    code = (
        "import os, sys, hydra, omegaconf; assert 'torch' not in sys.modules\n"  # what train.py imports before
        "import entreg; assert 'torch' not in sys.modules; print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    own = {key: value for key, value in os.environ.items() if not key.startswith(("GOMP_", "OMP_"))}
    done = subprocess.run(
        (sys.executable, "-c", code),
        cwd=ROOT,
        env=own | {"PYTHONPATH": str(ROOT)} | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{spins}\n"


def test_what_takes_seconds_to_import_is_imported_when_it_is_needed():
    """The composition of every job, a training on VGG-19 and a prediction do without."""
    code = (
        "import sys, entreg, entreg.cli.composition, entreg.tasks.train, entreg.tasks.predict, entreg.features.vgg19\n"
        "from entreg.distributed.hardware import compute_deterministically\n"
        "from entreg.config import Optim\n"
        "from entreg.training.optimizer import optimizer_of\n"
        "import torch\n"
        "compute_deterministically()\n"
        "parameter = torch.nn.Parameter(torch.ones(1))\n"
        "optimizer = optimizer_of([parameter], Optim())\n"
        "parameter.sum().backward(), optimizer.step(), optimizer.zero_grad()\n"
        "optimizer.load_state_dict(optimizer.state_dict())\n"
        "late = {'torchvision', 'torch._dynamo', 'torch._inductor', 'sympy', 'pandas'}\n"
        "late |= {'scipy.special', 'scipy.stats', 'tensorboard', 'wandb', 'mlflow'}\n"
        "print(late & set(sys.modules))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_the_lowest_versions_tried_are_those_that_are_promised():
    """Up to the patch level, so that `make test-lowest` tries what pyproject.toml says is enough."""
    tried = dict(re.findall(r"^([\w.-]+)==([\d.]+)$", (ROOT / "tests/lowest.txt").read_text(), re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text()
    lists = [
        re.search(rf"^{name} = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)[1] for name in ("dependencies", "test")
    ]
    requirements = [Requirement(entry) for entry in re.findall(r'"([^"]+)"', "".join(lists))]
    assert {one.name for one in requirements} == tried.keys() and len(tried) > 15
    for one in requirements:
        (floor,) = (Version(part.version) for part in one.specifier if part.operator == ">=")
        lowest = Version(tried[one.name])
        assert lowest in one.specifier and lowest.release[:2] == (*floor.release, 0)[:2], f"{one}: {lowest} is tried"


def test_the_wheel_has_every_package_and_the_options():
    """The build finds no package whose folder has another name, such as entreg.conf in conf/."""
    (block,) = re.findall(r"^packages = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    listed = set(re.findall(r'"([\w.]+)"', block))
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "entreg").rglob("__init__.py")}
    assert listed == there | {"entreg.conf"}
