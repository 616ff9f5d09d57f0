"""The folder of a run: its states, where it comes from, and what may be done in it; the folder of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from entreg.config.settings import resolved
from entreg.errors import DataError, SettingError
from entreg.io import files
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder, State, SweepFolder, plain
from entreg.runs.submission import PlannedRun, Submission
from entreg.runs.sweep_words import jobs_of


def touched(folder: Path, *names: str) -> RunFolder:
    """A run folder with these files, all of them empty."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return RunFolder(folder)


def saved(folder: Path, tree: str = "task: {name: train}") -> RunFolder:
    """A run folder whose saved config is this YAML."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra/config.yaml").write_text(tree)
    return RunFolder(folder)


def sweep(folder: Path, *typed: str, **params: str) -> SweepFolder:
    """The folder of a sweep of which Hydra knows what was typed and the sweeper's own parameters."""
    known = {"sweeper": {"params": params}, "overrides": {"task": list(typed)}}
    OmegaConf.save({"hydra": known}, folder / "multirun.yaml")
    return SweepFolder(folder)


@pytest.mark.parametrize(
    "names, state",
    [
        ([], State.UNFINISHED),
        (
            [".hydra/config.yaml", "train.log", "metrics.csv", "checkpoints/last.pt", "checkpoints/epoch_005.pt"],
            State.UNFINISHED,
        ),
        (["failure.txt", "checkpoints/last.pt"], State.FAILED),
        (["checkpoints/final.pt"], State.FINISHED),
        (["results.json"], State.UNFINISHED),
        (["results.json", "report.html"], State.FINISHED),
        (["done.txt"], State.FINISHED),
        # an earlier failure does not undo what was finished afterwards
        (["failure.txt", "checkpoints/final.pt"], State.FINISHED),
    ],
    ids=str,
)
def test_the_names_decide_how_far_a_run_has_come(tmp_path, names, state):
    assert touched(tmp_path, *names).state is state


def written(folder: Path, *names: str) -> RunFolder:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return RunFolder(folder)


@pytest.mark.parametrize(
    "names, said",
    [
        (["notes.txt"], r"files that entreg does not write \(notes.txt\)"),
        ([".thesis.tex.tmp"], r"files that entreg does not write \(.thesis.tex.tmp\)"),
        (["multirun.yaml", "0/.hydra/overrides.yaml"], r"runs \(0\)"),
        ([".hydra/overrides.yaml", "mine/.hydra/overrides.yaml"], r"runs \(mine\)"),  # once begun, by mistake
    ],
)
def test_a_folder_of_runs_or_of_other_files_is_none_of_a_run(tmp_path, names, said):
    folder = written(tmp_path / "a", *names)
    with pytest.raises(SettingError, match=f"a is not the folder of a run: it holds {said}, and nothing is changed"):
        folder.refuse_foreign_files()


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["train.log"],  # Hydra opens it before the job begins
        [
            ".owner.json.1234abcd.tmp",
            "checkpoints/last.pt",
            "tensorboard/events",
            "pictures/a.density.png",
            "preview/a/0.png",
        ],
        [".hydra/overrides.yaml", "notes.txt"],  # somebody's notes on a run that has begun
    ],
)
def test_what_a_run_has_written_and_notes_on_it_are_left_to_go_on_with(tmp_path, names):
    written(tmp_path / "a", *names).refuse_foreign_files()


def test_only_its_own_unfinished_writes_are_removed_and_only_where_it_writes(tmp_path):
    ours = [
        ".metrics.csv.0123abcd.tmp",
        "checkpoints/.last.pt.0123abcd.tmp",
        ".hydra/.config.yaml.0123abcd.tmp",
        "log_densities/below/.a.png.npz.0123abcd.tmp",
        "pictures/.a.png.density.png.0123abcd.tmp",
        "preview/ood.scene50/.00.png.0123abcd.tmp",
    ]
    others = [".thesis.tex.tmp", "mine/.data.csv.0123abcd.tmp", "checkpoints/last.pt"]
    written(tmp_path, *ours, *others).remove_temporary()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(others)


def test_without_a_folder_it_is_not_started(tmp_path):
    assert RunFolder(tmp_path / "0").state is State.NOT_STARTED
    assert RunFolder(tmp_path / "0").state_in_words == "not started"


def test_a_task_without_a_last_file_says_itself_that_it_is_finished(tmp_path):
    folder = RunFolder(tmp_path)
    folder.finish()
    assert folder.state is State.FINISHED and folder.state_in_words == "finished" and not folder.is_trained


def test_the_line_of_a_failure_that_says_why_is_said(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.why_failed() == ""
    folder.failure.write_text(f"rank 0 failed:\nTraceback (most recent call last):\nValueError: {'x' * 100}\n")
    assert folder.state_in_words == f"failed: ValueError: {'x' * 68}"
    assert folder.why_failed().endswith("x" * 100)


def test_the_last_ig_is_the_finished_trainings(tmp_path):
    folder = RunFolder(tmp_path)
    state = {"history": [{"validation_ig_bits_per_fixation": ig} for ig in (0.5, 1 / 3)]}
    checkpoint.write(folder.last, state)
    assert folder.last_ig_bits() is None
    checkpoint.write(folder.final, state)
    assert folder.last_ig_bits() == 1 / 3


@pytest.mark.parametrize(
    "history", [None, [], 3, [{"epoch": 1}], [{"validation_ig_bits_per_fixation": "one"}], [1]], ids=str
)
def test_a_final_checkpoint_without_a_last_ig_is_named(tmp_path, history):
    folder = RunFolder(tmp_path)
    checkpoint.write(folder.final, {"history": history})
    with pytest.raises(DataError, match=rf"^{folder.final}: its last row holds no .*; restore it, or leave its"):
        folder.last_ig_bits()


def test_a_failure_that_is_not_text_is_shown_as_far_as_it_is(tmp_path):
    folder = RunFolder(tmp_path)
    folder.failure.write_bytes(b"it was \x80 too\0 large\n")
    assert folder.state_in_words == "failed: it was \ufffd too\\x00 large"


@pytest.mark.parametrize(
    "name, content, read",
    [
        ("overrides.yaml", "loss: nll", lambda folder: folder.read_typed()),
        ("overrides.yaml", "- 1", lambda folder: folder.read_typed()),
        ("multirun.yaml", "hydra: {overrides: {task: 7}}", lambda folder: SweepFolder(folder.path).read_typed()),
        ("multirun.yaml", "7", lambda folder: SweepFolder(folder.path).read_typed()),
        ("plan.json", "[]", lambda folder: folder.read_plan()),
        ("plan.json", '{"primary": {"beauty": 1}, "ood": {}}', lambda folder: folder.read_plan()),
        ("provenance.json", "[7]", lambda folder: folder.starts()),
        ("provenance.json", '{"features": {"convolution": 7}}', lambda folder: folder.starts()),
    ],
)
def test_records_of_another_form_are_named(tmp_path, name, content, read):
    folder = RunFolder(tmp_path)
    paths = {path.name: path for path in (folder.typed, folder.plan, folder.provenance, SweepFolder(tmp_path).multirun)}
    paths[name].parent.mkdir(exist_ok=True)
    paths[name].write_text(content)
    with pytest.raises(DataError, match=rf"^{paths[name]}: .*; restore it, or leave its run out$"):
        read(folder)


def test_numbered_checkpoints_stand_in_order():
    names = [RunFolder(Path("run")).numbered(epoch).name for epoch in (5, 25, 100)]
    assert names == ["epoch_005.pt", "epoch_025.pt", "epoch_100.pt"] == sorted(names)


def test_a_start_is_added_to_those_before(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.starts() == []
    folder.add_start({"git_commit": "1111"})
    folder.add_start({"git_commit": "2222"})
    assert folder.starts() == [{"git_commit": "1111"}, {"git_commit": "2222"}]
    folder.amend_start(step_version="c")
    assert folder.starts() == [{"git_commit": "1111"}, {"git_commit": "2222", "step_version": "c"}]


def test_where_no_start_is_recorded_none_is_amended(tmp_path):
    RunFolder(tmp_path).amend_start(step_version="c")
    assert RunFolder(tmp_path).starts() == []


def test_damaged_starts_are_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.provenance.write_text('[{"git_commit": ')
    with pytest.raises(DataError, match=rf"^{folder.provenance}: cannot be read as JSON: "):
        folder.starts()


def test_the_plan_is_what_was_said_when_the_run_was_first_started(tmp_path, composed):
    folder = RunFolder(tmp_path)
    assert folder.read_plan() is None
    for domain in ("in_domain", "ood"):
        folder.write_plan(resolved(composed(f"evaluation.primary.domain={domain}")))
    assert folder.read_plan()["primary"]["domain"] == "in_domain"
    assert list(folder.read_plan()["ood"]) == ["synthetic_ood"]
    folder.plan.write_text("{")
    with pytest.raises(DataError, match=rf"^{folder.plan}: cannot be read as JSON: "):
        folder.read_plan()


def test_a_saved_config_is_read_as_it_was_written(tmp_path, composed):
    config, folder = resolved(composed("loss=nll_entropy", "uniform.levels=[0,0.5]")), RunFolder(tmp_path)
    folder.write_config(config)
    assert folder.read_config() == plain(config)
    assert folder.is_training


@pytest.mark.parametrize(
    "text",
    [
        "task: {name: train",
        "- task\n- train",
        "a text",
        "",
        "optim: {lr: 0.1}",
        "task: train",
    ],
)
def test_what_is_no_config_of_a_run_is_named(tmp_path, text):
    folder = saved(tmp_path, text)
    with pytest.raises(DataError, match=rf"^{folder.config}: cannot be read as (YAML|the config of a run): "):
        folder.read_config()


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "a${new_study:}b", "${data.root}"])
def test_nothing_that_a_saved_config_asks_for_is_looked_up(tmp_path, value):
    for text in (
        f"task: {{name: train}}\nstudy: '{value}'",
        f"task: {{name: train}}\n? '{value}'\n: 1",
        f"task: {{name: train}}\nruns: [a, ['{value}']]",
    ):
        folder = saved(tmp_path, text)
        with pytest.raises(DataError, match=r"it holds an interpolation \("):
            folder.read_config()


def test_a_config_that_is_not_there_or_not_text_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(DataError, match=rf"^{folder.config}: cannot be read as YAML: "):
        folder.read_config()
    saved(tmp_path).config.write_bytes(b"\xff\xfe\x00task")
    with pytest.raises(DataError, match=rf"^{folder.config}: cannot be read as YAML: "):
        folder.read_config()


def test_another_config_is_refused_and_its_keys_are_listed(tmp_path, composed):
    folder = RunFolder(tmp_path)
    folder.refuse_other_config(resolved(composed()))  # nothing is there yet
    folder.write_config(resolved(composed()))
    with pytest.raises(SettingError) as caught:
        folder.refuse_other_config(resolved(composed("optim.lr=0.1", "seed=3", "data.fold=1", "evaluation.seed=3")))
    first, *ways_out = str(caught.value).splitlines()
    assert first == f"{tmp_path} holds a run of another config; these settings differ: data.fold, optim.lr, seed."
    resume, _ = ways_out
    assert resume.split(maxsplit=3)[3] == "data.fold=0 optim.lr=0.001585 seed=0 as in its .hydra/config.yaml"


def test_a_run_of_one_precision_for_both_is_resumed_with_it_as_the_backbones(tmp_path, composed):
    """Its command of then names hardware.precision alone, which is the readout's now; the line says what to add."""
    folder = RunFolder(tmp_path)
    folder.write_config(resolved(composed("hardware.precision=bfloat16")))
    tree = yaml.safe_load(folder.config.read_text())
    del tree["model"]["backbone"]["precision"]
    folder.config.write_text(yaml.safe_dump(tree))
    with pytest.raises(SettingError, match=r"settings differ: model\.backbone\.precision\.\n") as caught:
        folder.refuse_other_config(resolved(composed("hardware.precision=bfloat16")))
    assert "resume that run        model.backbone.precision=bfloat16 as in" in str(caught.value)
    folder.refuse_other_config(resolved(composed("hardware.precision=bfloat16", "model.backbone.precision=bfloat16")))


def test_what_no_result_depends_on_may_be_changed(tmp_path, composed):
    folder = RunFolder(tmp_path)
    folder.write_config(resolved(composed()))
    folder.refuse_other_config(resolved(composed()))
    folder.refuse_other_config(
        resolved(
            composed(
                "paths.store=elsewhere",
                "study=mine",
                "hardware.partition=gpu",
                "trainer.checkpoint_every=1",
                "evaluation.seed=3",
                "data.sigma_px=3",
            )
        )
    )


def test_the_trainings_of_a_sweep_are_those_begun_and_those_planned(tmp_path):
    """Of twelve jobs 2 and 10 have begun, and 0 has only a folder; an evaluation in the same place is no training."""
    runs = sweep(tmp_path, "loss=nll,nll_entropy", "seed=0,1,2,3,4,5")
    for number in (10, 2):
        saved(tmp_path / str(number))
    saved(tmp_path / "evaluation", "task: {name: evaluate}")
    touched(tmp_path / "0", "train.log")
    names = [folder.path.name for folder in runs.trainings()]
    assert names == ["2", "10", "0", "1", "3", "4", "5", "6", "7", "8", "9", "11"]
    assert [folder.state for folder in runs.trainings()] == [State.UNFINISHED] * 3 + [State.NOT_STARTED] * 9


@pytest.mark.parametrize(
    "typed, planned",
    [
        (["seed=0,1"], ["0", "1"]),
        (["task=train", "seed=0,1"], ["0", "1"]),
        (["task=evaluate", "runs=a,b"], []),
        (["task=train,evaluate"], ["0"]),
        (["task=evaluate", "task=train", "seed=0,1"], ["0", "1"]),
    ],
    ids=str,
)
def test_only_trainings_are_planned(tmp_path, typed, planned):
    assert [folder.path.name for folder in sweep(tmp_path, *typed).trainings()] == planned


def test_a_single_run_is_its_own_training(tmp_path):
    assert SweepFolder(tmp_path).trainings() == []
    saved(tmp_path)
    assert SweepFolder(tmp_path).trainings() == [RunFolder(tmp_path)]


def test_jobs_are_cut_as_hydras_sweeper_cuts_them(tmp_path):
    runs = sweep(tmp_path, "loss=nll,nll_entropy", "uniform.levels=[0,1]", seed="0,1")
    written = files.read_yaml(runs.multirun)["hydra"]
    jobs = jobs_of(written["sweeper"]["params"], written["overrides"]["task"])
    # what an experiment sweeps stands before what is typed, and the last word varies fastest
    assert jobs == [
        [f"seed={seed}", f"loss={loss}", "uniform.levels=[0,1]"] for seed in (0, 1) for loss in ("nll", "nll_entropy")
    ]


@pytest.mark.parametrize("word", ["seed=range(1000000000)", "seed=range(200)", "x=range(0,1e12)"])
def test_a_sweep_of_more_jobs_than_anybody_starts_is_refused_at_once(tmp_path, word):
    with pytest.raises(SettingError, match="more than 10000 jobs"):
        jobs_of({"data.seed": "range(51)"}, [word])
    runs = sweep(tmp_path, word, **{"data.seed": "range(51)"})
    with pytest.raises(DataError, match=rf"^{runs.multirun}: cannot be read as the config of a sweep: "):
        runs.trainings()


@pytest.mark.parametrize("text", ["hydra: {}", "[]", "hydra: {sweeper: {params: null}, overrides: {task: ['a=(']}}"])
def test_what_is_no_config_of_a_sweep_is_named(tmp_path, text):
    (tmp_path / "multirun.yaml").write_text(text)
    with pytest.raises(DataError, match="multirun.yaml: cannot be read as the config of a sweep: "):
        SweepFolder(tmp_path).trainings()


def test_jobs_are_found_by_the_folders_that_they_were_given(tmp_path):
    runs = SweepFolder(tmp_path)
    assert runs.read_jobs() is None and runs.run(1) == RunFolder(tmp_path / "1")
    planned = [PlannedRun(["seed=0"], "deep/s0"), PlannedRun(["seed=1"], "deep/s1"), PlannedRun(["task=evaluate"], "e")]
    runs.write_jobs(planned)
    saved(tmp_path / "deep/s1")
    assert runs.read_jobs() == planned and runs.run(1) == RunFolder(tmp_path / "deep/s1")
    assert [folder.path.name for folder in runs.trainings()] == ["s1", "s0"]


def test_the_record_of_jobs_is_read_once_however_many_runs_are_asked_for(tmp_path, monkeypatch):
    SweepFolder(tmp_path).write_jobs([PlannedRun([f"seed={seed}"], f"s{seed}") for seed in range(5)])
    sweep, read, asked = SweepFolder(tmp_path), files.read_json, []
    monkeypatch.setattr(files, "read_json", lambda path: asked.append(path) or read(path))
    assert [sweep.run(number).path.name for number in range(5)] == ["s0", "s1", "s2", "s3", "s4"]
    assert asked == [sweep.jobs]


def test_an_earlier_record_of_jobs_is_read(tmp_path):
    (tmp_path / "jobs.json").write_text('[["seed=0"], ["seed=1"]]')
    assert SweepFolder(tmp_path).read_jobs() == [PlannedRun(["seed=0"], "0"), PlannedRun(["seed=1"], "1")]


def test_of_each_run_the_last_job_counts(tmp_path):
    runs = SweepFolder(tmp_path)
    assert runs.submissions() == [] and runs.job_ids() == {}
    for submission in (Submission("7", [[0], [1]]), Submission("8", [[1]])):
        runs.add_submission(submission)
    assert runs.job_ids() == {0: "7_0", 1: "8"}


def test_a_job_that_was_ended_from_outside_is_told_until_the_run_has_an_outcome(tmp_path):
    folder = RunFolder(tmp_path / "0")
    folder.write_ending("it was cancelled", "7_0")
    assert folder.state is State.UNFINISHED and folder.state_in_words == "unfinished: it was cancelled"
    touched(folder.path, "checkpoints/final.pt")
    assert folder.state_in_words == "finished"
    (folder.path / "ending.json").write_text("[]")
    with pytest.raises(DataError, match="it says no way of ending"):
        folder.how_ended()
