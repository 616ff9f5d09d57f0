"""Evaluation of run folders that are damaged, or that somebody else has made."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import strategies as st

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.arms import arms_of
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.find_runs import find
from entreg.evaluation.plan import plan_of
from entreg.report import commands, panels
from entreg.runs.folder import RunFolder
from entreg.study import feature_precision
from entreg.study.finished_run import HISTORY, read
from entreg.tasks.evaluate import evaluate
from tests.evaluation.photos import trained, words, write_set
from tests.fuzz.driver import outcome, tried
from tests.fuzz.mutations import TENSORS, VALUES, damaged, damaged_tree

Drive = Callable[..., None]
EARLIER = Path(__file__).parents[1] / "earlier/0.2.0/multirun/arms"


def load(path: Path) -> Any:
    """A file of a run as a tree; None where it is none."""
    if path.suffix == ".pt":
        return torch.load(path, weights_only=True)
    if path.suffix in (".yaml", ".json"):
        return yaml.safe_load(path.read_text())
    return None


def dumped(path: Path, tree: Any) -> bytes:
    """The file that holds this tree."""
    if path.suffix == ".json":
        return json.dumps(tree).encode(errors="replace")
    if path.suffix == ".yaml":
        return yaml.safe_dump(tree).encode(errors="replace")
    made = io.BytesIO()
    torch.save(tree, made)
    return made.getvalue()


@st.composite
def accidents(draw: st.DrawFn, whole: dict[Path, bytes], trees: dict[Path, Any]) -> tuple[Path, bytes]:
    """A file of a run with damaged bytes, or with another tree in it."""
    path = draw(st.sampled_from(sorted(whole)))
    if trees[path] is None or draw(st.booleans()):
        return path, draw(damaged(whole[path], words=path.suffix != ".pt"))
    tree = draw(damaged_tree(trees[path], VALUES + TENSORS if path.suffix == ".pt" else VALUES))
    return path, dumped(path, tree)


def files_of(sweep: Path) -> tuple[dict[Path, bytes], dict[Path, Any]]:
    """What is read of a sweep and of its runs: contents and trees."""
    paths = [path for path in sweep.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths}, {path: load(path) for path in paths}


@pytest.fixture
def judge(composed: Any) -> Callable[[Path], Any]:
    """judge(sweep): everything that is read of it before anything is judged."""
    config = resolved(composed("task=evaluate", "hardware=cpu"))

    def run(sweep: Path) -> Any:
        finished, unfinished = find(str(sweep))
        told = [(one.state_in_words, one.last_ig_bits()) for one in finished + unfinished]
        runs = [read(one, config, []) for one in finished]
        arms, _ = arms_of(runs)
        plan = plan_of(arms, [])
        feature_precision.choose(runs, "cpu", [])
        commands.repeat(finished, finished[0])
        commits = [commands.commit_of(one) for one in finished]
        assert all(isinstance(one, (str, type(None))) for one in commits) and isinstance(plan.domain, str)
        histories = [[row[key] for key in HISTORY] for run in runs for row in run.history]
        return [told, histories, [run.stability() for run in runs], [run.state["model"] for run in runs]]

    return run


@tried(8, 1000)
def test_a_damaged_folder_is_read_or_refused(
    tmp_path: Path, drive: Drive, composed: Any, judge: Any, count: int
) -> None:
    sweep = tmp_path / "arms"
    for number in ("0", "1"):  # both losses
        shutil.copytree(EARLIER / number, sweep / number)
    task = {"sweeper": {"params": {"seed": "0"}}, "overrides": {"task": ["loss=nll,nll_entropy,nll", "study=arms"]}}
    (sweep / "multirun.yaml").write_text(yaml.safe_dump({"hydra": task}))
    (sweep / "0/failure.txt").write_text("it was too large\n")
    assert outcome(lambda: judge(sweep)) == "read"
    whole, trees = files_of(sweep)

    def check(case: tuple[Path, bytes]) -> str:
        path, content = case
        path.write_bytes(content)
        try:
            return outcome(lambda: judge(sweep), str(tmp_path), "runs=")
        finally:
            path.write_bytes(whole[path])

    drive(count, accidents(whole, trees), check)


@pytest.mark.slow
@pytest.mark.parametrize("count", [500])
def test_a_damaged_folder_is_judged_or_refused(
    tmp_path: Path, drive: Drive, composed: Any, store: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The whole evaluation, with its tables and its page; figures are not painted, which takes seconds."""
    monkeypatch.setattr(panels, "png", lambda figure: b"")
    for name, seeds in (("own", range(4)), ("foreign", range(100, 103))):
        write_set(tmp_path / name, seeds)
    stages, sweep, threads = EvaluationCache(Ranks()), tmp_path / "sweep", torch.get_num_threads()
    for number, loss in enumerate(("nll", "nll_entropy")):
        config = resolved(composed(*words(tmp_path, store), f"loss={loss}", "study=s"))
        trained(sweep / str(number), config, stages, weights=number)
    whole, trees = files_of(sweep)
    config = resolved(composed("task=evaluate", f"runs={sweep}", f"paths.store={store}", "hardware=cpu"))

    def judged() -> Any:
        place = RunFolder(tmp_path / "evaluation")
        shutil.rmtree(place.path, ignore_errors=True)
        place.path.mkdir()
        found = evaluate(config, place)
        json.loads(place.results.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in results.json"))
        assert place.report.is_file() and place.per_image.is_file()
        return found

    def check(case: tuple[Path, bytes]) -> str:
        path, content = case
        path.write_bytes(content)
        try:
            return outcome(judged, str(tmp_path), "runs=", "ood", "own", "foreign")
        finally:
            path.write_bytes(whole[path])

    try:
        assert outcome(judged) == "read"
        drive(count, accidents(whole, trees), check)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
