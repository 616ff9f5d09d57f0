"""What is printed can be pasted: a shell and Hydra read the same folder again, whatever its name."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entreg.cli import next_steps, sweep_commands
from entreg.runs.folder import RunFolder, SweepFolder

SPECIAL = " ,'\"=()#[]{}$\\&;*?!~:+@%|<>^-_.éaN10"
names = st.text(SPECIAL, min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))
LAUNCHERS = ["basic", "together", "submitit_local", "submitit_slurm", "together_slurm"]


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr("sys.argv", ["train.py"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(command: str) -> dict[str, str]:
    """The settings of a command by their keys, as a shell and then Hydra read them."""
    program, script, *words = shlex.split(command)
    assert (program, script) == ("python", "train.py")
    words = [word for word in words if word not in ("-m", "status", "cancel")]
    found = OverridesParser.create().parse_overrides(words)
    assert not any(override.is_sweep_override() for override in found)
    # OmegaConf takes the backslash before an interpolation away when it resolves
    return {override.key_or_group: str(override.value()).replace("\\${", "${") for override in found}


@pytest.mark.parametrize("below", ["multirun", "/elsewhere"])
@settings(deadline=None, max_examples=150)
@given(name=names)
@example(name="null")
@example(name="1e3")
@example(name="a,b")
@example(name='it\'s (#1) = "x" \\')
@example(name="${seed}")
def test_a_folder_is_the_same_after_a_shell_and_hydra_have_read_it(below, name):
    folder = Path(below) / name
    assert read(next_steps.evaluation_of(folder)) == {"task": "evaluate", "runs": str(folder)}
    for command, task in zip(
        re.findall(r"`(.*?)`", next_steps.how_to_look(SweepFolder(folder))), ("status", "cancel"), strict=True
    ):
        assert read(command)["runs"] == str(folder)
        assert sweep_commands._parsed(task, shlex.split(command)[2:]) == (str(folder), False)
    place, *commands = next_steps.after_training(RunFolder(folder)).splitlines()
    assert place == f"run {folder}"
    evaluate, predict = (read(command.partition(": ")[2]) for command in commands)
    assert evaluate["runs"] == predict["run"] == str(folder)


@settings(deadline=None, max_examples=100)
@given(name=names)
@example(name="a,b")
def test_how_to_go_on_names_the_study_or_else_the_folder(name):
    for is_sweep, usual, key in ((True, "multirun", "hydra.sweep.dir"), (False, "outputs", "hydra.run.dir")):
        for folder, setting in ((Path(usual) / name, ("study", name)), (Path("/a") / name, (key, f"/a/{name}"))):
            said = next_steps.how_to_go_on(folder, is_sweep=is_sweep)
            word = said.removeprefix("the same command with ").removesuffix(f" goes on with {folder}")
            assert read(f"python train.py {word}") == dict([setting])


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("name", ["plain", "a b", "a,b", "it's", "a=b", "(a)", "#1", 'say "a"', "${seed}", "null"])
def test_the_command_that_starts_a_sweep_again_means_the_same_sweep(here, launcher, name):
    sweep = SweepFolder(here / "multirun" / name)
    sweep.path.mkdir(parents=True)
    assert next_steps.how_to_start_again(sweep) is None
    typed = ["seed=0", f"data.root={next_steps.word('x', f'/d/{name}')[2:]}"]
    of_hydra = ["hydra.mode=MULTIRUN", f"hydra/launcher={launcher}", "hydra.sweep.dir=before"]
    sweep.multirun.write_text(json.dumps({"hydra": {"overrides": {"task": typed, "hydra": of_hydra}}}))
    assert read(next_steps.how_to_start_again(sweep)) == {
        "seed": "0",
        "data.root": f"/d/{name}",
        "hydra/launcher": launcher,
        "hydra.sweep.dir": str(sweep.path),
    }
