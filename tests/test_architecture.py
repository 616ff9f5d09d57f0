"""Which package may import which, a test file for each module, and file names that one module alone spells."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import entreg
from entreg.runs.folder import RunFolder, SweepFolder
from tests.conftest import ROOT

PACKAGE = ROOT / "entreg"
MODULES = sorted(PACKAGE.rglob("*.py"))

# from top to bottom: a package, or a module beside the packages, imports what stands in a lower layer
LAYERS = (
    ("__main__", "interop", ""),  # the last one is entreg itself: what `import entreg` offers
    ("library",),
    ("cli",),
    ("tasks",),
    ("training", "evaluation", "prediction"),
    ("report",),
    ("results",),
    ("study",),
    ("losses",),
    ("model",),
    ("features", "priors"),
    ("data",),
    ("runs",),
    ("slurm",),
    ("distributed",),
    ("config",),
    ("io",),
    ("progress", "columns", "command_line", "units", "version", "errors"),
)
ORDER = [name for layer in LAYERS for name in layer]


def name_of(path: Path) -> str:
    """Return the name of a module within entreg, such as `runs.folder`; of an __init__.py the package's."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


NAMES = {name_of(path) for path in MODULES}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything that a file imports, in functions and for the type checker too."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def imports_of_entreg(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each module of entreg that a file imports."""
    for line, name in imported(path):
        # the last part of a name may be a function of the module
        for module in (name.removeprefix("entreg."), name.removeprefix("entreg.").rpartition(".")[0]):
            if name.startswith("entreg.") and module in NAMES:
                yield line, module
                break


def test_every_package_has_a_layer():
    assert sorted(ORDER) == sorted({name.split(".")[0] for name in NAMES})


def test_a_package_imports_only_what_stands_in_a_lower_layer():
    layer_of = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for path in MODULES:
        package = name_of(path).split(".")[0]
        for line, module in imports_of_entreg(path):
            other = module.split(".")[0]
            if other != package and layer_of[other] <= layer_of[package]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports entreg.{module}")
    assert not wrong, "these are not in a lower layer:\n" + "\n".join(wrong)


def test_no_modules_import_each_other():
    """Nor in a circle of several, nor in functions or for the type checker alone."""
    TopologicalSorter({name_of(path): {name for _, name in imports_of_entreg(path)} for path in MODULES}).prepare()


def test_only_the_command_line_knows_hydra():
    """But for the jobs of a sweep, which version 0.2.0 left to Hydra to remember."""
    knowing = {
        name_of(path)
        for path in MODULES
        for _, name in imported(path)
        if name.split(".")[0] in ("hydra", "hydra_plugins", "submitit")
    }
    assert {name for name in knowing if not name.startswith("cli")} == {"runs.sweep_words"}


def test_the_report_takes_typed_results():
    """What is written beside the results (rows of tables, provenance) are mappings; the results themselves are not."""
    for path in (PACKAGE / "report").glob("*.py"):
        assert "results: Mapping" not in path.read_text(), path


def test_what_the_type_checker_is_told_to_ignore_has_a_reason():
    unsaid = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (*MODULES, *(ROOT / "benchmarks").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "# type: ignore" in line and not re.search(r"# type: ignore\[[a-z-]+\]  # \w+", line)
    ]
    assert not unsaid, "\n".join(unsaid)


def test_one_word_is_the_name_of_one_class():
    """Of those that packages hand on; what data sources and losses call their own settings aside."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "Settings":
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    several = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not several


def packages() -> list[str]:
    """Return the packages of entreg in the order of the layers."""
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return [name for name in ORDER if name in found]


def test_the_package_says_what_each_of_its_packages_is():
    assert re.findall(r"^(\w+) {2,}\S", entreg.__doc__, re.MULTILINE) == packages()


def test_the_readme_lists_the_packages_in_the_order_of_the_layers():
    (tree,) = re.findall(r"^entreg/\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert re.findall(r"^  (\w+)/ ", tree, re.MULTILINE) == packages()


def test_every_module_has_a_test_file_of_its_name():
    """But for those that only declare settings, which tests/config/test_config.py holds, and the two entry points."""
    missing = []
    for path in MODULES:
        test = Path("tests", path.relative_to(PACKAGE)).with_name(f"test_{path.name}")
        declares = path.parent.name == "config" and path.name != "settings.py"
        if not path.name.startswith("__") and not declares and not (ROOT / test).is_file():
            missing.append(f"{path.relative_to(ROOT)} has no {test}")
    assert not missing, "\n".join(missing)


def names_in_a_run_folder() -> set[str]:
    """The names of the files and folders that RunFolder and SweepFolder know; a folder's with its slash."""
    run, sweep = RunFolder(Path("run")), SweepFolder(Path("sweep"))
    paths = [
        path
        for folder in (run, sweep)
        for path in vars(folder).values()
        if isinstance(path, Path) and path != folder.path
    ]
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
        f"{path.relative_to(ROOT)}:{line} spells {name}: the path belongs into entreg/runs/folder.py"
        for path in MODULES
        if name_of(path) != "runs.folder"
        for line, text in strings(path)
        for name in names
        if name in text
    ]
    assert not spelt, "\n".join(spelt)
