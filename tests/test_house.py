"""The house: which room may import which, a test file for each module, and file names that one module alone spells."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import entreg
from entreg.run.folder import RunFolder, SweepFolder
from tests.conftest import ROOT

HOUSE = ROOT / "entreg"
MODULES = sorted(HOUSE.rglob("*.py"))

# What each room, and each module beside the rooms, imports of the others: a whole room, or of a room one module alone.
# They stand in order: an arrow leads to an earlier line.
MAY_IMPORT = {
    "errors": set(),
    "version": set(),
    "ranks": set(),
    "numerics": set(),
    "progress": set(),
    "files": {"errors"},
    "arrays": {"files"},
    "claims": {"errors", "files"},
    "fetch": {"errors", "progress", "files", "claims"},
    "tensors": {"errors", "files"},
    "settings": {"errors"},
    "config": {"settings"},
    "run": {"errors", "version", "ranks", "files", "tensors", "settings", "config"},
    "data": {
        "errors",
        "files",
        "claims",
        "fetch.download",
        "fetch.published",
        "fetch.unpack",
        "settings",
        "config",
    },
    "prior": {"errors", "ranks", "files", "arrays", "claims", "config", "data.geometry"},
    "features": {
        "errors",
        "ranks",
        "numerics",
        "progress",
        "files",
        "claims",
        "fetch.download",
        "fetch.published",
        "tensors",
        "config",
    },
    "model": {"errors", "numerics", "files", "fetch.published", "tensors", "config", "features.grid"},
    "losses": {"errors", "ranks", "settings", "config", "model.log_density"},
    "study": {
        "errors",
        "ranks",
        "files",
        "settings",
        "config",
        "run.checkpoint",
        "run.folder",
        "run.hardware",
        "run.migrations",
        "data",
        "prior",
        "features",
        "model.deepgaze3",
        "model.mixture",
    },
    "report": {"numerics", "files", "run.folder"},
    "train": {
        "errors",
        "version",
        "ranks",
        "numerics",
        "files",
        "config",
        "run",
        "prior",
        "features.grid",
        "features.held",
        "features.store",
        "model",
        "study",
        "report.panels",
    },
    "evaluate": {
        "errors",
        "numerics",
        "progress",
        "files",
        "arrays",
        "settings",
        "config",
        "run",
        "data",
        "prior",
        "features",
        "model",
        "study",
        "report",
    },
    "predict": {
        "errors",
        "ranks",
        "progress",
        "files",
        "arrays",
        "tensors",
        "config",
        "run",
        "data.geometry",
        "data.images",
        "data.names",
        "prior",
        "model.log_density",
        "study",
        "report.panels",
    },
    "interop": {"errors", "predict"},
    "tasks": {
        "errors",
        "ranks",
        "files",
        "config",
        "run",
        "data.downloads",
        "data.images",
        "features.backbone",
        "features.weights",
        "model.published",
        "study",
        "report.tables",
        "train",
        "evaluate",
        "predict",
    },
    "run.jobs": {"errors", "files", "claims", "tensors", "settings", "config", "run", "data.sources", "tasks"},
    "": {"predict.trained"},  # entreg itself: what `import entreg` offers
}


def name_of(path: Path) -> str:
    """The name of a module within entreg, such as `run.folder`; of a package's __init__.py the package's."""
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


NAMES = {name_of(path) for path in MODULES}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, name) of each module of entreg that a file imports, in functions and under TYPE_CHECKING too."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            # the last part of a name may be a function of the module
            for own in (name.removeprefix("entreg."), name.removeprefix("entreg.").rpartition(".")[0]):
                if name.startswith("entreg.") and own in NAMES:
                    yield node.lineno, own
                    break


def room_of(name: str) -> str:
    """`run.jobs` is one of its own: it starts the tasks, and stands above them."""
    return name if name == "run.jobs" else name.split(".")[0]


def arrows() -> Iterator[tuple[str, str, str]]:
    """(room, module, message) of every import across rooms; the message names file, line and import."""
    for path in MODULES:
        room = room_of(name_of(path))
        for line, name in imported(path):
            if room_of(name) != room:
                yield room, name, f"{path.relative_to(ROOT)}:{line} imports entreg.{name}"


def allowing(room: str, name: str) -> set[tuple[str, str]]:
    """(room, entry) of the table's entries that allow the room to import this module."""
    return {(room, entry) for entry in MAY_IMPORT.get(room, ()) if f"{name}.".startswith(f"{entry}.")}


def test_every_room_imports_only_what_it_may():
    rooms = {room_of(name) for name in NAMES}
    assert MAY_IMPORT.keys() == rooms, "MAY_IMPORT has a line for each room"
    wrong = {message for room, name, message in arrows() if not allowing(room, name)}
    assert not wrong, "MAY_IMPORT does not allow it:\n" + "\n".join(sorted(wrong))


def test_every_arrow_leads_to_what_lies_below():
    order = list(MAY_IMPORT)
    back = [
        f"{room} -> {entry}"
        for room, entries in MAY_IMPORT.items()
        for entry in entries
        if order.index(entry.split(".")[0]) >= order.index(room)
    ]
    assert not back, "these lead to a later line of MAY_IMPORT"


def test_the_table_allows_no_more_than_there_is():
    used = {pair for room, name, _ in arrows() for pair in allowing(room, name)}
    unused = {(room, entry) for room, entries in MAY_IMPORT.items() for entry in entries} - used
    assert not unused, "no module of the room imports that any longer: MAY_IMPORT can be tighter"


def test_no_modules_import_each_other():
    """Nor in a circle of several, nor in functions or for the type checker alone."""
    TopologicalSorter({name_of(path): {name for _, name in imported(path)} for path in MODULES}).prepare()


def test_what_the_type_checker_is_told_to_ignore_has_a_reason():
    unsaid = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (*MODULES, *(ROOT / "benchmarks").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "# type: ignore" in line and not re.search(r"# type: ignore\[[a-z-]+\]  # \w+", line)
    ]
    assert not unsaid, "\n".join(unsaid)


def test_one_word_is_the_name_of_one_class():
    """Of those that are handed on from room to room; what sources and tasks call their own settings aside."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "Settings":
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    several = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not several


def test_the_house_says_what_each_room_is():
    """`room  what it is` as a line, or `room (what it is)` in a sentence."""
    rooms = sorted(path.parent.name for path in HOUSE.glob("*/__init__.py"))
    said = {room: rf"^ *{room} {{2,}}\S|[:,] {room} \(" for room in rooms}
    missing = [room for room, pattern in said.items() if not re.search(pattern, entreg.__doc__, re.MULTILINE)]
    assert not missing, "the docstring of entreg/__init__.py does not say what these rooms are"


def test_the_readme_lists_the_rooms_in_the_order_of_the_arrows():
    """No room knows those after it, it says there."""
    readme = (ROOT / "README.md").read_text()
    (tree,) = re.findall(r"^entreg/\n(.*?)^```\nNo room knows those after it", readme, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"^  (\w+)/ ", tree, re.MULTILINE)
    rooms = {path.parent.name for path in HOUSE.glob("*/__init__.py")}
    assert listed == [room for room in MAY_IMPORT if room in rooms]


def test_every_module_has_a_test_file_of_its_name():
    missing = []
    for path in MODULES:
        test = Path("tests", path.relative_to(HOUSE)).with_name(f"test_{path.name}")
        if path.name != "__init__.py" and not (ROOT / test).is_file():
            missing.append(f"{path.relative_to(ROOT)} has no {test}")
    assert not missing, "\n".join(missing)


def names_in_a_run_folder() -> set[str]:
    """The names of the files and folders that RunFolder and SweepFolder know; a folder's with its slash."""
    run, sweep = RunFolder(Path("run")), SweepFolder(Path("sweep"))
    paths = [path for folder in (run, sweep) for path in vars(folder).values() if path != folder.path]
    return {path.name for path in paths} | {f"{path.parent.name}/" for path in paths} - {"run/", "sweep/"} | {"epoch_"}


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of each string in a file's code; docstrings and comments are none."""
    tree = ast.parse(path.read_text())
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
            yield node.lineno, node.value


def test_only_the_run_folder_spells_the_names_of_its_files():
    names = names_in_a_run_folder()
    assert names >= {
        "final.pt",
        "last.pt",
        "epoch_",
        "metrics.csv",
        "steps.csv",
        "provenance.json",
        "failure.txt",
        "results.json",
        "per_image.csv",
        "report.html",
        "overrides.yaml",
        "multirun.yaml",
        ".hydra/",
        "checkpoints/",
        "figures/",
    }
    spelt = [
        f"{path.relative_to(ROOT)}:{line} spells {name}: the path belongs into entreg/run/folder.py"
        for path in MODULES
        if name_of(path) != "run.folder"
        for line, text in strings(path)
        for name in names
        if name in text
    ]
    assert not spelt, "\n".join(spelt)
