"""The way out of a finding."""

from entreg.data.plausibility.finding import Finding
from entreg.data.sources import fixation_maps, folder


def test_settings_are_the_way_out_where_the_source_has_them():
    finding = Finding("blurred_maps", 5, 9, "", "data.maps=PATTERN of others", "get others")
    assert finding.way_out(fixation_maps.Settings()) == "data.maps=PATTERN of others"
    assert finding.way_out(folder.Settings()) == "get others"
    assert Finding("outside", 5, 9, "", "", "convert them").way_out(folder.Settings()) == "convert them"
