"""Which backbone is built for which name, and that Winograd's algorithm is asked of none that lacks it."""

import pytest

from entreg.config import Backbone, Hardware
from entreg.errors import SettingError
from entreg.features.backbone import build, check, check_convolution
from entreg.features.torchvision_backbone import ClassifierTaps
from entreg.features.vgg19 import Vgg19Taps

OTHER = Backbone(name="squeezenet1_1", taps=["features.3"])


def test_vgg19_keeps_its_own_way_and_others_are_torchvisions():
    assert isinstance(build(Backbone(taps=["relu1_1"]), 2, "."), Vgg19Taps)
    assert isinstance(build(OTHER, 2, "."), ClassifierTaps)


@pytest.mark.parametrize(
    "settings, said",
    [
        (Backbone(taps=["features.3"]), "VGG-19 has conv1_1"),
        (Backbone(name="squeezenet1_1"), "squeezenet1_1 has"),
        (Backbone(name="squeezenet"), "torchvision's classifiers are"),
    ],
)
def test_names_are_checked_without_building(settings, said):
    with pytest.raises(SettingError, match=said):
        check(settings)


def test_winograd_is_vgg19s_alone():
    check_convolution(Backbone(), Hardware(convolution="winograd"))
    check_convolution(OTHER, Hardware(convolution="auto"))
    with pytest.raises(SettingError, match="winograd needs VGG-19, and model.backbone.name is squeezenet1_1"):
        check_convolution(OTHER, Hardware(convolution="winograd"))
