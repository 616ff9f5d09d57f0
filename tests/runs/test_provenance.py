"""Where a result comes from: the code, also where it differs from its commit, versions and the machine."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest
import torch

from entreg.runs import provenance as module
from entreg.runs.provenance import code_version, provenance

CODE = ("train.py", "entreg/config/__init__.py", "entreg/runs/provenance.py", "conf/config.yaml")


@pytest.fixture
def git(tmp_path, monkeypatch):
    """git(*arguments): its output in a repository of its own, which holds the code as far as the module knows."""
    file = tmp_path / "entreg/runs/provenance.py"
    file.parent.mkdir(parents=True)
    (tmp_path / "conf").mkdir()
    for name in (*CODE, "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before\n")
    monkeypatch.setattr(module, "__file__", str(file))
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")

    def run(*arguments: str) -> str:
        command = ("git", "-C", str(tmp_path), *identity, *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    run("init")
    run("add", ".")
    run("commit", "-m", "first")
    return run


def test_it_names_commit_versions_and_machine(git):
    start = provenance("cpu", {"run": 3, "split": 42}, fingerprints={"data": "abc"})
    assert start["git_commit"] == git("rev-parse", "HEAD") and start["git_clean"] is True
    assert start["code"] == f"commit {start['git_commit']}"
    assert start["python"] == platform.python_version() and start["host"] == platform.node()
    assert start["packages"].keys() == {"torch", "torchvision", "numpy", "scipy", "cv2"}
    assert start["packages"]["torch"] == torch.__version__
    assert start["processor"]
    assert start["seeds"] == {"run": 3, "split": 42} and start["fingerprints"] == {"data": "abc"}
    assert start["cuda"] is None and start["driver"] is None


def test_it_names_what_was_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "loss=nll", "seed=1"])
    assert provenance("cpu", {})["command"] == "train.py loss=nll seed=1"


def test_it_can_be_written_as_json():
    start = provenance("cpu", {"run": 0}, features={"taps": ["conv5_1"]})
    assert json.loads(json.dumps(start, allow_nan=False)) == start


def test_the_code_version_is_another_with_every_edit_of_the_code(git, tmp_path):
    committed = code_version()
    assert committed == f"commit {git('rev-parse', 'HEAD')}"
    versions = [committed]
    for text in ("after", "after that"):
        for name in CODE:
            (tmp_path / name).write_text(text)
            versions.append(code_version())
    assert len(set(versions)) == 1 + 2 * len(CODE)
    assert all(version.startswith(f"{committed} with changes ") for version in versions[1:])
    for name in CODE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before\n")
    assert code_version() == committed


def test_what_is_no_code_does_not_change_its_version_but_the_tree_is_not_clean(git, tmp_path):
    committed = code_version()
    (tmp_path / "README.md").write_text("after\n")
    assert code_version() == committed
    assert provenance("cpu", {})["git_clean"] is False


def test_another_commit_is_another_version(git, tmp_path):
    committed = code_version()
    (tmp_path / "train.py").write_text("after\n")
    git("commit", "-am", "second")
    assert code_version() == f"commit {git('rev-parse', 'HEAD')}" != committed


def test_without_git_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    start = provenance("cpu", {})
    assert start["git_commit"] is None and start["git_clean"] is None
    assert start["code"] == code_version() == "unknown (no git)"
    monkeypatch.setenv("PATH", "")
    assert code_version() == "unknown (no git)"
