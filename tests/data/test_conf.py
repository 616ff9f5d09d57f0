"""Every data set's YAML fits its schema, which names its source."""

import pytest
from omegaconf import OmegaConf

from entreg.config.settings import check
from entreg.data import sources
from entreg.errors import UserError
from tests.data.conftest import FOLDER, composed

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_all_data_sets_are_there():
    assert NAMES == [
        "cat2000",
        "cat2000_observers",
        "crowd100",
        "etocvd",
        "etocvd_excluding_200ms",
        "folder",
        "memory",
        "mit1003",
        "osie",
        "pysaliency",
        "scene50",
        "synthetic",
        "synthetic_ood",
        "synthetic_wide",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_file_fits_its_schema_and_opens_with_what_it_is(name):
    cfg = composed(name, **({"root": "MINE"} if name == "folder" else {}))
    OmegaConf.resolve(cfg)
    check(cfg.data)
    assert cfg.data.name == name
    assert (FOLDER / f"{name}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("synthetic")])
def test_its_loader_says_what_is_missing(name, tmp_path):
    settings = OmegaConf.to_object(composed(name, root=str(tmp_path / "nowhere")).data)
    with pytest.raises(UserError, match="data=synthetic needs none"):
        sources.load(settings)


@pytest.mark.parametrize("name", ["synthetic", "synthetic_ood"])
def test_the_synthetic_sets_can_be_drawn(name, tmp_path):
    settings = OmegaConf.to_object(composed(name, root=str(tmp_path), images=4).data)
    data = sources.load(settings)
    assert (data.stimuli[0].height_px, data.stimuli[0].width_px) == (288, 384)


def test_the_out_of_domain_set_differs_in_seed_and_bias():
    one, other = (composed(name).data for name in ("synthetic", "synthetic_ood"))
    assert one.seed != other.seed
    assert (one.bias_x, one.bias_y) == (0.5, 0.5) != (other.bias_x, other.bias_y)


def test_your_own_data_need_a_root():
    settings = OmegaConf.to_object(composed("folder").data)
    with pytest.raises(UserError, match=r"root is not set(.|\n)*data.root=PATH"):
        sources.load(settings)
