"""What several rooms' tests share: a config composed as train.py composes it, and the command line itself."""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from entreg.cli import composition
from entreg.cli.composed_once import ComposedOnce, load_sweeps_by
from tests.fork_server import ENTREG, LIBRARIES, ForkServer
from tests.miniature import Miniature
from tests.unpainted import Painting

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
ABSOLUTE = re.compile(r"([a-z_.]+)=(/[\w./-]*)")

# the smallest study that has everything: both orientations, a validation part, out-of-domain images
SMALL = (
    "data.images=20",
    "ood.synthetic_ood.images=6",
    "data.folds=4",
    "trainer.batch_size=6",
    "uniform.images=4",
    *(f"{role}.long_side_px=192" for role in ("data", "ood.synthetic_ood")),
    *(f"{role}.short_side_px=144" for role in ("data", "ood.synthetic_ood")),
)


def pytest_configure(config):
    """Modules keep the order that is made below; older versions of pytest-xdist know no other.

    What tests start can be interrupted: a shell that starts the tests in the background has them ignore SIGINT, and
    whatever is started inherits that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Modules that start processes take longest: they come first, so that both workers end at about the same time."""
    long = {item.module for item in items if "command" in item.fixturenames}
    items.sort(key=lambda item: item.module not in long)


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Log handlers that a test adds to the root logger write to its own output, which is closed after it."""
    before, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.setLevel(level)
    for handler in logging.root.handlers[:]:
        if handler not in before:
            logging.root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def painting() -> Iterator[Painting]:
    """Figures are painted by tests that are marked so alone."""
    with pytest.MonkeyPatch.context() as patch:
        yield Painting(patch)


@pytest.fixture(autouse=True)
def _painted(painting: Painting, request: pytest.FixtureRequest) -> None:
    painting.is_on = request.node.get_closest_marker("painted") is not None


@pytest.fixture(scope="session")
def store(tmp_path_factory, worker_id) -> Path:
    """Feature stores of this test session: built once, read by every run of all workers."""
    base = tmp_path_factory.getbasetemp()
    store = (base if worker_id == "master" else base.parent) / "store"
    store.mkdir(exist_ok=True)
    return store


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Iterator[Miniature]:
    """A whole study of about a second, to be killed and made to fail."""
    with Miniature(tmp_path_factory.mktemp("miniature")) as miniature:
        yield miniature


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads of small products wait for each other, and for long where other processes share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def composed() -> Callable[..., DictConfig]:
    """composed(*overrides): the DictConfig that these words on the command line give; each time a copy of its own.

    Composing takes a sixth of a second, half of it to read and merge files, which is done once. Absolute paths, which
    differ in each test, are set afterwards.
    """
    composition.register()
    known: dict[tuple[str, ...], bytes] = {}
    loader: ComposedOnce | None = None

    def of(*overrides: str) -> DictConfig:
        nonlocal loader
        places = {word: found for word in overrides if (found := ABSOLUTE.fullmatch(word))}
        words = tuple(word for word in overrides if word not in places)
        if words not in known:
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                loader = loader or load_sweeps_by()
                GlobalHydra.instance().hydra.config_loader = loader
                known[words] = pickle.dumps(compose("config", list(words)))
        config: DictConfig = pickle.loads(known[words])
        for place in places.values():
            OmegaConf.update(config, place[1], place[2])
        return config

    return of


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """What runs train.py without importing everything anew."""
    with ForkServer(LIBRARIES + ENTREG) as server:
        yield server


@pytest.fixture(scope="session")
def library_server() -> Iterator[ForkServer]:
    """What runs train.py, also a copy's, without importing the libraries anew."""
    with ForkServer(LIBRARIES) as server:
        yield server


@pytest.fixture(scope="session")
def command(store, request):
    """command(*words, folder): train.py with these words, run in `folder`; the finished process, output as text.

    python: another one than that of the tests, in a process of its own; without it, train.py is a fork of a process
    that has made the imports. more_path: folders that it imports from, too
    """

    def run(
        *words: str,
        folder: Path,
        timeout_s: float = 280,
        python: Path | str = sys.executable,
        more_path: Sequence[Path] = (),
    ) -> subprocess.CompletedProcess:
        words = (*words, f"paths.store={store}")
        if python == sys.executable:
            server: ForkServer = request.getfixturevalue("library_server" if more_path else "fork_server")
            return server.run(words, folder, timeout_s, (*more_path, ROOT))
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            (str(python), str(ROOT / "train.py"), *words),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    return run


def pytest_terminal_summary(terminalreporter):
    """How many inputs the tests in tests/fuzz have generated, and how they ended."""
    reports = [report for how in ("passed", "failed") for report in terminalreporter.getreports(how)]
    found = [
        dict(report.user_properties)["generated"]
        for report in reports
        if report.when == "call" and "generated" in dict(report.user_properties)
    ]
    if found:
        ended = sum((Counter(one["ended"]) for one in found), Counter())
        said = ", ".join(f"{count:,} {how}" for how, count in sorted(ended.items()))
        terminalreporter.write_line(f"generated inputs tried: {ended.total():,} (FUZZ_SEED={found[0]['seed']}): {said}")
