"""task=prepare on small published sets from a local server: everything that a study reads is there afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError
from entreg.features import weights
from entreg.io import resumed_download
from entreg.io.published_file import Published
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.tasks.prepare import prepare
from tests import published_sets
from tests.io.server import serving
from tests.published_sets import DOTS, FOREIGN, IMAGES, md5, picture, task_words, zipped

OBSERVED = [("name", object), ("data", object)]  # a struct of an observer's, as mat-io reads it


@pytest.fixture(scope="module")
def archives():
    return published_sets.archives()


@pytest.fixture
def server(archives, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(resumed_download, "WAIT_S", 0.0)
    with serving(dict(archives)) as running:
        yield running


@pytest.fixture
def words(server, archives, tmp_path):
    return task_words(server.address, archives, tmp_path)


@pytest.fixture
def run(composed, words, tmp_path, caplog):
    """run(*more words): the task, in this process; what it logged."""

    def prepared(*more):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            prepare(resolved(composed(*words, *more)), RunFolder(tmp_path / "run"))
        return caplog.text

    return prepared


@pytest.fixture
def without_network(monkeypatch):
    """without_network(): from then on whoever asks for the network fails."""

    def refused(*_):
        raise AssertionError("something asks for the network")

    def cut_off():
        monkeypatch.setattr(socket.socket, "connect", refused)
        monkeypatch.setattr(socket, "getaddrinfo", refused)

    return cut_off


def test_everything_is_there_afterwards_and_a_training_needs_no_network(run, server, words, composed, tmp_path):
    said = run()
    for part in (
        f"mit1003: not in {tmp_path}/data/MIT1003; licence: none stated; to be downloaded:",
        f"{server.address}/ALLFIXATIONMAPS.zip (size unknown, no hash published)",
        f"mit1003: {IMAGES} images, {IMAGES * DOTS} fixations",
        f"cat2000: {FOREIGN} images, {FOREIGN * DOTS} fixations",
        f"mit1003: as published: {IMAGES} images and {IMAGES * DOTS} fixations",
        f"cat2000: as published: {FOREIGN} images",
        "weights: random or the module's own, none are needed",
        f"the features of {IMAGES + FOREIGN} images are there",
        "ready: training and evaluation with these settings need no network",
    ):
        assert part in said
    root = tmp_path / "data/MIT1003"
    assert sorted(path.name for path in root.iterdir()) == [
        "ALLFIXATIONMAPS",
        "ALLFIXATIONMAPS.zip",
        "ALLFIXATIONMAPS.zip.sha256",
        "ALLSTIMULI",
        "ALLSTIMULI.zip",
    ]
    assert sorted(path.name for path in (root / "ALLSTIMULI").iterdir()) == [f"i{i}.jpeg" for i in range(IMAGES)]
    assert (tmp_path / "run/done.txt").is_file()
    assert sorted(path for path, _ in server.asked) == ["/ALLFIXATIONMAPS.zip", "/ALLSTIMULI.zip", "/trainSet.zip"]


def test_what_it_built_is_what_a_study_reads(run, words, composed, tmp_path, without_network):
    run()
    stores = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*") if path.is_file()}
    without_network()
    study = Study(resolved(composed(*words, "task=train")), StudyCache(Ranks()))
    assert len(study.training) + len(study.validation) == IMAGES and len(study.foreign("cat2000")) == FOREIGN
    assert len(study.uniform(study.landscape)) == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*") if path.is_file()} == stores


def test_the_second_time_asks_nothing_of_the_network(run, server, tmp_path, without_network):
    run()
    for archive in (tmp_path / "data").rglob("*.zip"):  # as the log says, they can be removed
        archive.unlink()
    without_network()
    said = run()
    assert "to be downloaded" not in said
    assert f"mit1003: found in {tmp_path}/data/MIT1003" in said and f"cat2000: found in {tmp_path}/data" in said


def test_only_what_is_missing_is_downloaded(run, server, tmp_path):
    run()
    shutil.rmtree(tmp_path / "data/MIT1003/ALLFIXATIONMAPS")
    (tmp_path / "data/MIT1003/ALLFIXATIONMAPS.zip").unlink()
    server.asked.clear()
    assert "ALLSTIMULI.zip" not in run()
    assert server.asked == [("/ALLFIXATIONMAPS.zip", None)]


def test_observers_come_with_the_same_archive(composed, words, server, tmp_path, caplog, monkeypatch):
    """CAT2000's allFixData.mat holds a containers.Map: in place of mat-io stands what it would find there."""
    own = ("ood.cat2000.expected_images", "ood.cat2000.sample")
    content = {f"trainSet/Stimuli/Action/{i}.jpg": picture(np.random.default_rng(i), "jpeg") for i in range(3)}
    server.files["/trainSet.zip"] = zipped(content | {"trainSet/allFixData.mat": b"a map"})
    observed = np.array([(f"1-{i}-ab.eye", np.array([[9.0 + i, 8.0, 5.0]])) for i in range(4)], dtype=OBSERVED)

    def read(path):
        assert path == str(tmp_path / "data/CAT2000/trainSet/allFixData.mat") and Path(path).read_bytes() == b"a map"
        return {"allData": {f"Action/{i}.jpg": observed for i in range(3)}}

    monkeypatch.setitem(sys.modules, "matio", SimpleNamespace(load_from_mat=read))
    typed = [word.replace("cat2000", "cat2000_observers") for word in words if not word.startswith(own)]
    typed += [
        f"ood.cat2000_observers.downloads.training_set.hash={md5(server.files['/trainSet.zip'])}",
        "ood.cat2000_observers.expected_images=3",
        "ood.cat2000_observers.sample=null",
    ]
    with caplog.at_level(logging.INFO):
        prepare(resolved(composed(*typed)), RunFolder(tmp_path / "run"))
    assert "cat2000_observers: 3 images, 12 fixations" in caplog.text
    assert f"cat2000_observers: not in {tmp_path}/data/CAT2000; licence: none stated; to be downloaded:" in caplog.text
    assert [path for path, _ in server.asked].count("/trainSet.zip") == 1
    with pytest.raises(DataError, match="(?s)cat2000_observers: .*: 3 images instead of 4\n"):
        prepare(resolved(composed(*typed, "ood.cat2000_observers.expected_images=4")), RunFolder(tmp_path / "other"))


def test_an_archive_that_was_put_there_by_hand_is_unpacked(run, server, archives, tmp_path):
    root = tmp_path / "data/MIT1003"
    root.mkdir(parents=True)
    for name in ("ALLSTIMULI.zip", "ALLFIXATIONMAPS.zip"):
        (root / name).write_bytes(archives[f"/{name}"])
    run()
    assert server.asked == [("/trainSet.zip", None)] and (root / "ALLSTIMULI/i0.jpeg").is_file()


def test_without_a_foreign_set(composed, words, server, tmp_path, caplog):
    own = [word for word in words if not word.startswith("ood")]
    prepare(resolved(composed(*own, "ood=[]")), RunFolder(tmp_path / "run"))
    assert "cat2000" not in caplog.text and (tmp_path / "run/done.txt").is_file()
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "name, said",
    [
        ("etocvd", "etocvd cannot be downloaded: it is published at https://github.com/fgugliuzza/saliency\n"),
        (
            "osie",
            "osie cannot be downloaded: it is published at https://github.com/NUS-VIP/predicting-human-gaze-beyond-",
        ),
        ("scene50", "scene50 cannot be downloaded: its address is unknown\n"),
        ("folder", "folder cannot be downloaded: its address is unknown\n"),
    ],
)
def test_a_set_without_an_address_is_refused_before_anything_is_downloaded(run, server, name, said):
    with pytest.raises(DataError) as caught:
        run(f"ood=[cat2000,{name}]")
    assert str(caught.value).startswith(said)
    assert f"The data set {name} is not at" in str(caught.value) and server.asked == []


def test_weights_that_are_no_file_are_refused_before_anything_is_downloaded(run, server, tmp_path):
    with pytest.raises(DataError, match="nowhere.pth is neither a file"):
        run(f"model.backbone.weights={tmp_path}/nowhere.pth")
    assert server.asked == []


def test_embedded_data_are_there(composed, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        prepare(
            resolved(
                composed(
                    "task=prepare",
                    f"paths.store={tmp_path}/store",
                    "data.images=8",
                    "ood.synthetic_ood.images=4",
                    "data.folds=2",
                    "data.long_side_px=64",
                    "data.short_side_px=48",
                    "ood.synthetic_ood.long_side_px=64",
                    "ood.synthetic_ood.short_side_px=48",
                    "model.backbone.taps=[conv1_2]",
                    "hardware=cpu",
                    "uniform.images=1",
                )
            ),
            RunFolder(tmp_path / "run"),
        )
    assert "synthetic: found in" in caplog.text and "the features of 12 images are there" in caplog.text


@pytest.mark.parametrize(
    "typed, said",
    [
        ("data.expected_images=7", "6 images instead of 7\n"),
        ("data.expected_fixations=121", "120 fixations instead of 121\n"),
    ],
)
def test_other_counts_than_the_published_ones_are_refused(run, typed, said):
    with pytest.raises(DataError, match=f"(?s)mit1003: .* is not the published set: {said}.*data.expected_images=6"):
        run(typed)


def test_a_kill_at_any_moment_is_gone_on_from(composed, words, server, tmp_path, monkeypatch):
    """Killed at the 1st, 2nd, ... rename of a file or folder, until it gets through: then the same is there."""
    monkeypatch.setattr("entreg.tasks.prepare.launch", lambda *_: True)  # features have their own tests
    config, folder, number = resolved(composed(*words)), RunFolder(tmp_path / "run"), 0
    prepare(config, folder)
    expected = contents(tmp_path / "data")
    while True:
        number += 1
        left = number
        config.data.root = f"{tmp_path}/{number}/MIT1003"
        config.ood["cat2000"].root = f"{tmp_path}/{number}/CAT2000"

        def or_killed(does):
            def done(*arguments):
                nonlocal left
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt
                return does(*arguments)

            return done

        server.asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", or_killed(os.rename))
            patch.setattr(os, "replace", or_killed(os.replace))
            with contextlib.suppress(KeyboardInterrupt):
                prepare(config, folder)
        if left > 0:
            break
        prepare(config, folder)
        assert contents(tmp_path / str(number)) == expected
        assert len(server.asked) <= 4  # one of the three archives at most once more
    assert number > 10


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bad_archive_leaves_nothing_in_the_folder_of_the_set(run, server, tmp_path):
    server.files["/ALLFIXATIONMAPS.zip"] = zipped({"ALLFIXATIONMAPS/../../../x": b"x"})
    with pytest.raises(DataError, match="ALLFIXATIONMAPS.zip is not unpacked: it names"):
        run()
    assert not (tmp_path / "data/MIT1003/ALLFIXATIONMAPS").exists()
    assert not (tmp_path / "data/MIT1003/ALLFIXATIONMAPS.zip.sha256").exists()  # not held against the true one


def test_where_there_is_no_gpu_the_data_are_got_all_the_same(run, server, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = run("hardware=gpu4")
    assert "features are not built here; the first job builds them, without a network" in said
    assert (tmp_path / "data/MIT1003/ALLSTIMULI").is_dir() and (tmp_path / "run/done.txt").is_file()
    assert not (tmp_path / "store/features").exists()


def test_weights_come_the_same_way(run, server, tmp_path, monkeypatch):
    content = io.BytesIO()
    state = {
        f"features.{i}.{what}": tensor
        for i, (n, m) in {0: (3, 64), 2: (64, 64)}.items()
        for what, tensor in (("weight", torch.randn(m, n, 3, 3)), ("bias", torch.zeros(m)))
    }
    torch.save(state, content)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    name = f"vgg19-{digest[:8]}.pth"
    server.files[f"/{name}"] = content.getvalue()
    server.break_after = [None, None, None, 3 * resumed_download.PART_BYTES]
    monkeypatch.setattr(weights, "published", lambda *_: Published(f"{server.address}/{name}", f"sha256:{digest}"))
    said = run("model.backbone.weights=IMAGENET1K_V1")
    path = tmp_path / "weights" / name
    assert path.read_bytes() == content.getvalue()
    assert f"weights: IMAGENET1K_V1 are not in {tmp_path}/weights; licence: none stated" in said
    assert f"backbone: VGG-19 weights from {path}" in said
    assert server.asked[-1][1] == "bytes=49152-"
    server.asked.clear()
    assert f"weights: found in {path}" in run("model.backbone.weights=IMAGENET1K_V1") and server.asked == []


YAML = """# Toy: photos and fixations in one archive.
defaults: [schema_folder, _self_]

name: toy
root: ${{paths.data}}/toy
expected_images: 4
licence: CC0
published_at: {address}
downloads:
  photos: {{address: "{address}/toy.zip", holds: stimuli, hash: "{md5}"}}
  table: {{address: "{address}/toy.zip", holds: fixations.csv, hash: "{md5}"}}
"""


def test_a_further_set_is_one_yaml_and_it_is_a_command(command, server, tmp_path):
    rng = np.random.Generator(np.random.PCG64(1))
    table = "image,x,y\n" + "".join(f"{i}.png,{x},20\n" for i in range(4) for x in (10, 30))
    server.files["/toy.zip"] = zipped(
        {f"stimuli/{i}.png": picture(rng, "png") for i in range(4)} | {"fixations.csv": table, "README.txt": "unwanted"}
    )
    conf = tmp_path / "conf/data"
    conf.mkdir(parents=True)
    (conf / "toy.yaml").write_text(YAML.format(address=server.address, md5=md5(server.files["/toy.zip"])))
    done = command(
        "--config-dir",
        str(conf.parent),
        "task=prepare",
        "data=toy",
        "ood=[]",
        "study=ready",
        "hardware=cpu",
        "data.folds=2",
        "data.long_side_px=64",
        "data.short_side_px=48",
        "model.backbone.taps=[conv1_2]",
        "uniform.images=1",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("toy.zip (size unknown") == 1
    for part in ("licence: CC0", "toy: 4 images, 8 fixations", "toy: as published: 4 images", "need no network"):
        assert part in done.stdout
    assert sorted(path.name for path in (tmp_path / "data/toy").iterdir()) == ["fixations.csv", "stimuli", "toy.zip"]
    assert server.asked == [("/toy.zip", None)] and (tmp_path / "outputs/ready/done.txt").is_file()
