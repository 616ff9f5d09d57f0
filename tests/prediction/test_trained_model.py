"""A finished run's density of any image: evaluation's at equal geometry, and at the image's own size."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import entreg
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, SettingError, UserError
from entreg.evaluation.evaluated_runs import load_model
from entreg.evaluation.scores import predict
from entreg.prediction.trained_model import TrainedModel
from entreg.runs import checkpoint
from entreg.study.finished_run import finished as finished_run
from entreg.study.finished_run import saved
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from tests.conftest import ROOT

EARLIER = ROOT / "tests/earlier/0.2.0"
BIASES = ("kde", "gaussian", "uniform")


@pytest.fixture
def trained(finished) -> TrainedModel:
    return entreg.load(finished().path, device="cpu")


@pytest.mark.parametrize("kind", BIASES)
def test_at_equal_geometry_it_is_what_evaluation_computes(finished, kind):
    """The synthetic images have the size that the run was trained at."""
    folder = finished(f"model.center_bias={kind}", "data.fold=2")
    trained = entreg.load(folder.path, device="cpu")
    run = finished_run(folder, saved(folder))
    study = Study(run.config, StudyCache(Ranks()))
    (part,), model = study.validation.parts.values(), load_model(run, study)
    assert {stimulus.height_px for stimulus in part.stimuli} == {144, 192}
    for i, stimulus in enumerate(part.stimuli):
        expected = predict(model, part, i)
        found = trained.log_density(stimulus.path)
        assert np.ptp(found) > 1
        np.testing.assert_allclose(found, expected.full()[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "below/a.jpg"])
def test_each_pixel_takes_the_density_at_its_place(trained, photos, name):
    rgb = np.array(Image.open(photos / name))
    density = trained.density(rgb)
    assert density.size == ((144, 192) if rgb.shape[0] < rgb.shape[1] else (192, 144))
    full, (height, width) = density.full()[0].double().numpy(), rgb.shape[:2]
    expected = np.array(
        [
            [
                full[int((i + 0.5) * full.shape[0] / height), int((j + 0.5) * full.shape[1] / width)]
                for j in range(width)
            ]
            for i in range(height)
        ]
    )
    expected -= np.log(np.exp(expected).sum())
    found = trained.log_density(photos / name)
    assert found.dtype == np.float64 and np.exp(found).sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_an_image_may_come_in_many_forms(trained, photos):
    path = photos / "b.png"
    expected = trained.log_density(path)
    with Image.open(path) as image:
        rgb = np.array(image)
        alpha = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
        forms = str(path), image, rgb, alpha, image.convert("RGBA")
        assert all(np.array_equal(trained.log_density(form), expected) for form in forms)
        grey = trained.log_density(image.convert("L"))
        assert not np.array_equal(grey, expected)
        assert np.array_equal(trained.log_density(np.array(image.convert("L"))), grey)


def test_a_list_gives_what_each_alone_gives_to_the_bit(trained, photos):
    paths = [photos / "a.jpg", photos / "b.png", photos / "below/a.jpg"]
    found = trained.log_density(paths)
    assert [one.shape for one in found] == [(120, 301), (230, 150), (90, 90)]
    assert all(np.array_equal(one, trained.log_density(path)) for one, path in zip(found, paths, strict=True))
    assert trained.log_density([]) == []


def code_blocks(path: Path) -> list[str]:
    """The Python in a page of Markdown."""
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.painted
def test_from_notebook_to_figure_in_five_lines(finished, photos, tmp_path, monkeypatch):
    """The lines of the README, which `help(entreg.load)` and docs/models.md show as well."""
    (block,) = (one for one in code_blocks(ROOT / "README.md") if "entreg.load" in one)
    assert len([line for line in block.splitlines() if line]) == 5
    shown = [line for line in entreg.load.__doc__.splitlines() if line.startswith(" " * 8)]
    assert [line.strip() for line in shown] == [line for line in block.splitlines() if line]
    assert block in code_blocks(ROOT / "docs/models.md")
    finished(folder="outputs/mine")
    shutil.copy(photos / "a.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    exec(block, {})
    with Image.open("density.png") as figure:
        assert len(set(figure.convert("RGB").getdata())) > 100


def test_a_run_needs_neither_its_data_set_nor_its_source(finished, photos):
    """Nor is a source that its config names imported."""
    folder = finished()
    expected = entreg.load(folder.path, device="cpu").log_density(photos / "a.jpg")
    tree = OmegaConf.load(folder.config)
    tree.data.source, tree.data.root, tree.data.of_my_own = "evil", "/nowhere", 3
    OmegaConf.save(tree, folder.config)
    (folder.path / "evil.py").write_text("1 / 0")
    sys.path.insert(0, str(folder.path))
    try:
        assert np.array_equal(entreg.load(folder.path, device="cpu").log_density(photos / "a.jpg"), expected)
    finally:
        sys.path.remove(str(folder.path))


def test_a_backbone_of_another_package_predicts_where_it_is_allowed(finished, photos):
    """Also as a module, with gradients to the photos."""
    called = "tests.features.test_module_backbone.Convolutional"
    words = "model.backbone.name=theirs", f"+model.backbone.module._target_={called}", "model.backbone.taps=[second]"
    folder = finished(*words, "allow=[tests]", "store.dtype=float32")
    with pytest.raises(SettingError, match=r"Convolutional is code of the package tests, .*allow=\['tests'\]"):
        entreg.load(folder.path, device="cpu")
    trained = entreg.load(folder.path, device="cpu", allow=["tests"])
    density = trained.log_density(photos / "a.jpg")
    assert density.shape == (120, 301) and np.exp(density).sum() == pytest.approx(1) and density.std() > 0.01
    rgb = np.asarray(Image.open(photos / "a.jpg"))
    photo = torch.tensor(rgb).permute(2, 0, 1)[None].float().requires_grad_()
    (log_density,) = trained.module(photo)
    assert np.abs(log_density.detach().numpy() - density).max() < 0.02  # a stretched photo is not rounded to 8 bits
    log_density[60, 150].backward()
    assert float(photo.grad.abs().max()) > 0


def test_a_run_of_version_0_2_0_predicts(photos):
    """Its config names its source by a module, and it keeps its centre bias."""
    density = entreg.load(EARLIER / "multirun/arms/0", device="cpu").log_density(photos / "a.jpg")
    assert density.shape == (120, 301) and np.exp(density).sum() == pytest.approx(1)


def test_a_run_that_lost_its_centre_bias_is_refused(finished):
    folder = finished()
    folder.center_bias.unlink()
    with pytest.raises(DataError, match=f"^{folder.center_bias}: cannot be read as a run's centre bias"):
        entreg.load(folder.path, device="cpu")


def test_what_keeps_a_run_from_predicting_is_said(finished, tmp_path):
    with pytest.raises(UserError, match="geometry=crop: the model predicts nothing for what is cut off"):
        entreg.load(finished("data.geometry=crop", folder="crop").path, device="cpu")
    folder = finished()
    with pytest.raises(DataError, match="model.backbone.weights=.*gone.pth is neither a file"):
        entreg.load(folder.path, device="cpu", weights=tmp_path / "gone.pth")
    state = checkpoint.read(folder.final)
    checkpoint.write(folder.final, state | {"fingerprints": {"weights": "0123456789abcdef"}})
    with pytest.raises(DataError, match=r"weights \(None\) are not those .*: their SHA-256 is .* and not 0123456789ab"):
        entreg.load(folder.path, device="cpu")


def test_weights_may_have_moved(finished, tmp_path):
    folder = finished()
    study = Study(finished_run(folder, saved(folder)).config, StudyCache(Ranks()))
    parameters = [p for p in study.recipe.backbone.state_dict().items() if "conv" in p[0]]
    keys = [f"features.{i // 2}.{name.rsplit('.')[-1]}" for i, (name, _) in enumerate(parameters)]
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights/vgg19_imagenet_features.pth"
    torch.save(dict(zip(keys, (value for _, value in parameters), strict=True)), file)
    assert entreg.load(folder.path, device="cpu", weights=file).run.config.model.backbone.weights == str(file)
    tree = OmegaConf.load(folder.config)
    tree.model.backbone.weights, tree.paths.weights = "IMAGENET1K_V1", "/nowhere"
    OmegaConf.save(tree, folder.config)
    trained = entreg.load(folder.path, device="cpu", weights=file.parent)
    assert trained.run.config.paths.weights == str(file.parent)


def test_a_folder_without_a_finished_run_is_named(finished, tmp_path):
    folder = finished(folder="sweep/0")
    with pytest.raises(UserError, match=rf"^{tmp_path}/nothing: there is no such folder"):
        entreg.load(tmp_path / "nothing")
    with pytest.raises(UserError, match=rf"finished training, but a sweep; choose one of its runs: {folder}$"):
        entreg.load(tmp_path / "sweep")
    folder.final.unlink()
    with pytest.raises(UserError, match=r"the training there is not finished \(unfinished\)$"):
        entreg.load(folder.path)


@pytest.mark.parametrize("device", ["cuda:99", "mps", "gpu", "cpu"])
def test_devices_are_those_of_pytorch(finished, device):
    folder = finished()
    if device == "cpu":
        assert entreg.load(folder.path, device=torch.device(device)).device.type == "cpu"
        return
    with pytest.raises(SettingError, match=f"^device={device}: "):
        entreg.load(folder.path, device=device)
