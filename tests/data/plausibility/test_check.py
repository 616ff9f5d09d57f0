"""Data sets in files, in wrong frames and as wrong maps, each of which was used without a word before."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import scipy.io
from PIL import Image

from entreg.config.settings import differing, resolved, setting
from entreg.config.tables import Frame
from entreg.data.plausibility.check import checked, findings
from entreg.data.sources import fixation_maps, folder, load
from entreg.errors import DataError, SettingError
from tests.data.plausibility.gaze import shares

IMAGES, EACH = 12, 40
WIDTH, HEIGHT = 320, 200


def write(root, x, y, size=(WIDTH, HEIGHT), orientation=1):
    """A set of 12 JPEGs with 40 fixations each, whose x and y are (480,)."""
    (root / "stimuli").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(IMAGES):
        Image.new("RGB", size).save(root / f"stimuli/{i}.jpg", exif=exif)
    rows = [f"{n // EACH}.jpg,{x[n]:.6g},{y[n]:.6g}" for n in range(IMAGES * EACH)]
    (root / "fixations.csv").write_text("\n".join(["image,x,y", *rows]))
    return folder.Settings(source="folder", name="mine", root=str(root))


@pytest.fixture
def gaze(rng):
    """The x and y of 480 fixations in pixels of the stored images."""
    x, y = shares(rng, IMAGES * EACH).T
    return x * WIDTH, y * HEIGHT


def refused(settings, *kinds):
    """The message with which a set is refused until these kinds are accepted."""
    with pytest.raises(DataError) as caught:
        load(settings)
    settings.accept = list(kinds[1:])
    with pytest.raises(DataError):
        load(settings)
    settings.accept = list(kinds)
    data = load(settings)
    assert data.accepted == kinds
    assert [note for note in data.notes if note.startswith(f"accepted ({kinds[0]}): ")]
    message = str(caught.value)
    accept = f".accept=[{','.join(sorted(kinds))}]"
    assert f"data{accept} (ood.mine{accept} where it is a foreign set)" in message
    return message


def assert_mended(settings, gaze, **frame):
    """What the message names reads the fixations where people looked."""
    settings.accept = []
    settings.frame = Frame(**frame)
    fixations = load(settings).fixations
    np.testing.assert_allclose([fixations.x, fixations.y], gaze, rtol=1e-4)  # the table has six digits


def test_a_plausible_set_is_used_without_a_note(tmp_path, gaze):
    data = load(write(tmp_path, *gaze))
    assert findings(data) == []
    assert (data.notes, data.accepted, data.rows_read) == ((), (), 480)


def test_shares_of_the_image(tmp_path, gaze):
    """All 480 would lie on the first pixel."""
    x, y = gaze
    settings = write(tmp_path, x / WIDTH, y / HEIGHT)
    message = refused(settings, "shares")
    assert "480 of 480 fixations have x and y within 1 of 0" in message
    assert "100" in message and "data.frame.unit=shares" in message
    assert_mended(settings, gaze, unit="shares")


def test_degrees_of_visual_angle(tmp_path, gaze):
    """40 pixels per degree, from the centre: at most 4 x 2.5 degrees."""
    x, y = gaze
    message = refused(write(tmp_path, (x - WIDTH / 2) / 40, (y - HEIGHT / 2) / 40), "scaled")
    assert "they seem to be degrees of visual angle from the centre" in message


def test_the_origin_in_the_centre(tmp_path, gaze):
    x, y = gaze
    outside = int(((x < WIDTH / 2) | (y < HEIGHT / 2)).sum())
    message = refused(write(tmp_path, x - WIDTH / 2, y - HEIGHT / 2), "centred")
    assert (
        f"{outside} of 480 fixations lie outside their images; x and y seem to count from the image's centre" in message
    )
    assert "data.frame.origin=centre (where y grows upwards; where it grows downwards, add half" in message


def test_the_origin_in_the_centre_with_y_upwards_is_mended_by_the_setting(tmp_path, gaze):
    x, y = gaze
    settings = write(tmp_path, x - WIDTH / 2, HEIGHT / 2 - y)
    refused(settings, "centred")
    assert_mended(settings, gaze, origin="centre")


def test_images_in_the_middle_of_a_screen(tmp_path, gaze):
    """320 x 200 begin at (800, 440) on 1920 x 1080, so that nothing is inside."""
    x, y = gaze
    settings = write(tmp_path, x + 800, y + 440)
    with pytest.raises(DataError, match="480 of 480 fixations lie outside .* on a screen of about 19.. x 10.. pixels"):
        load(settings)
    settings.accept = ["outside"]
    with pytest.raises(DataError, match="mine .* no fixation is left; read: 480, dropped: 480 outside the image"):
        load(settings)


def test_a_screen_a_little_larger_than_the_images(tmp_path, gaze):
    """320 x 200 begin at (32, 20) on 384 x 240: a tenth of each side."""
    x, y = gaze
    outside = int(((x >= WIDTH - 32) | (y >= HEIGHT - 20)).sum())
    settings = write(tmp_path, x + 32, y + 20)
    message = refused(settings, "outside")
    assert f"{outside} of 480 fixations" in message
    assert "data.frame.of=screen data.frame.screen_width_px=" in message
    assert_mended(settings, gaze, of="screen", screen_width_px=384, screen_height_px=240)


def test_swapped_axes(tmp_path, gaze):
    x, y = gaze
    outside = int((x >= HEIGHT).sum())
    message = refused(write(tmp_path, y, x), "swapped")
    assert f"{outside} of 480 fixations lie outside their images; x and y seem to be swapped" in message
    assert "where 0 lie outside" in message


def test_lost_gaze_at_the_origin(tmp_path, gaze):
    """15 % of the rows, 72."""
    x, y = gaze
    lost = np.arange(480) % 20 < 3
    message = refused(write(tmp_path, np.where(lost, 0, x), np.where(lost, 0, y)), "at_origin")
    assert "72 of 480 fixations lie at exactly (0, 0)" in message


def test_all_at_one_point(tmp_path):
    message = refused(write(tmp_path, np.full(480, 200), np.full(480, 150)), "one_point")
    assert "480 of 480 fixations lie at exactly one point of their images (200, 150)" in message


def test_images_stored_larger_than_they_were_shown(tmp_path, gaze):
    """Stored as 640 x 400, shown as 320 x 200: nothing is dropped, but nobody looks right of the middle."""
    settings = write(tmp_path, *gaze, size=(2 * WIDTH, 2 * HEIGHT))
    message = refused(settings, "scaled")
    assert "480 of 480 fixations lie in the upper left quarter" in message
    assert "data.frame.shown_width_px=... data.frame.shown_height_px=..." in message
    x, y = gaze
    assert_mended(settings, (2 * x, 2 * y), shown_width_px=WIDTH, shown_height_px=HEIGHT)


def test_images_stored_smaller_than_they_were_shown(tmp_path, gaze):
    x, y = gaze
    outside = int(((x >= WIDTH / 2) | (y >= HEIGHT / 2)).sum())
    message = refused(write(tmp_path, 2 * x, 2 * y), "scaled")
    assert f"{outside} of 480 fixations lie outside their images" in message
    assert "times as large as they are stored" in message


def test_jpegs_that_are_shown_turned(tmp_path, gaze):
    """Stored 320 wide and 200 high, shown 200 wide and 320 high."""
    x, y = gaze
    outside = int((x >= HEIGHT).sum())
    message = refused(write(tmp_path, HEIGHT - 1e-3 - y, x, orientation=6), "turned")
    assert f"{outside} of 480 fixations" in message and "12 images have an EXIF orientation" in message
    assert "ImageOps.exif_transpose" in message


def test_jpegs_that_are_shown_turned_but_were_looked_at_as_stored_are_noted(tmp_path, gaze):
    (note,) = load(write(tmp_path, *gaze, orientation=6)).notes
    assert note.startswith("12 images have an EXIF orientation (0.jpg), which is ignored")


def test_several_kinds_are_said_and_accepted_at_once(tmp_path, gaze):
    x, y = gaze
    lost = np.arange(480) % 20 < 3
    message = refused(write(tmp_path, np.where(lost, 0, y), np.where(lost, 0, x)), "at_origin", "swapped")
    assert "(0, 0)" in message and "seem to be swapped" in message


def test_where_the_points_lie_is_drawn(tmp_path, gaze):
    """All in the first sixteenth of the box, whose row also shows what is left and right of it."""
    x, y = gaze
    message = refused(write(tmp_path, x / WIDTH, y / HEIGHT), "shares")
    assert "    . |  100    .    .    . |    ." in message


@dataclass
class FramedSettings(folder.Settings):
    """The settings of a source that can be told the frame."""

    frame: str = setting("", "made up", affects="result")


def test_a_source_that_can_be_told_the_frame_is_told_what_to_type(tmp_path, gaze):
    x, y = gaze
    settings = write(tmp_path, x / WIDTH, y / HEIGHT)
    framed = FramedSettings(source="folder", name="mine", root=settings.root)
    with pytest.raises(DataError, match="to mend it          data.frame.unit=shares"):
        checked(folder.load(settings), framed)


@pytest.mark.parametrize("change, notes", [(lambda v: np.floor(v) + 1, 1), (np.floor, 0), (lambda v: v + 1, 0)])
def test_whole_numbers_of_which_none_is_0_are_noted(tmp_path, gaze, change, notes):
    x, y = (np.append(0, axis[1:]) for axis in gaze)
    data = load(write(tmp_path, np.minimum(change(x), WIDTH - 1), np.minimum(change(y), HEIGHT - 1)))
    assert len(data.notes) == notes
    assert all("count from 1 (MATLAB)" in note for note in data.notes)


def write_maps(root, gaze, value=255, blur=0.0):
    """Twelve maps of 40 fixated pixels each, blurred by a Gaussian of `blur` pixels."""
    for name in ("stimuli", "maps"):
        (root / name).mkdir(parents=True)
    for i in range(IMAGES):
        Image.new("RGB", (WIDTH, HEIGHT)).save(root / f"stimuli/{i}.png")
        one = np.zeros((HEIGHT, WIDTH))
        x, y = (axis[EACH * i : EACH * (i + 1)].astype(int) for axis in gaze)
        one[y, x] = 1
        if blur:
            one = cv2.GaussianBlur(one, (0, 0), blur)
        Image.fromarray((value * one / one.max()).astype(np.uint8)).save(root / f"maps/{i}.png")
        scipy.io.savemat(root / f"maps/{i}.mat", {"density": one})
    kind = {"stimuli": "stimuli/*.png", "maps": "maps/{stem}.png", "maps_are": "image"}
    return fixation_maps.Settings(source="fixation_maps", name="mine", root=str(root), **kind)


def test_maps_of_dots_are_used(tmp_path, gaze):
    data = load(write_maps(tmp_path, gaze))
    assert (len(data.fixations), data.notes) == (
        len(set(zip(np.arange(480) // 40, *map(np.floor, gaze), strict=True))),
        (),
    )


def test_blurred_maps_in_place_of_dots(tmp_path, gaze):
    message = refused(write_maps(tmp_path, gaze, blur=8), "blurred_maps")
    assert "the maps seem to be blurred" in message
    assert "data.maps=PATTERN of the maps with one pixel for each fixation" in message


def test_a_density_in_place_of_a_matrix_of_dots(tmp_path, gaze):
    settings = write_maps(tmp_path, gaze, blur=8)
    settings.maps, settings.maps_are, settings.key = "maps/{stem}.mat", "mat", "density"
    assert "fixated pixels touch another one" in refused(settings, "blurred_maps")


def test_dots_of_ones_need_another_threshold(tmp_path, gaze):
    settings = write_maps(tmp_path, gaze, value=1)
    with pytest.raises(DataError, match="brighter than threshold=127; the brightest are 1.\n  data.threshold=0 "):
        load(settings)
    settings.threshold = 0
    assert len(load(settings).fixations) > 470


def test_what_is_accepted_is_typed_for_the_own_and_for_foreign_sets_and_no_result_depends_on_it(composed):
    config = resolved(composed("data.accept=[outside,shares]", "ood.synthetic_ood.accept=[swapped]"))
    assert (config.data.accept, config.ood["synthetic_ood"].accept) == (["outside", "shares"], ["swapped"])
    saved = dataclasses.asdict(resolved(composed()))
    assert differing(saved, config) == []
    with pytest.raises(SettingError, match=r"data.accept=\['everything'\] is out of range: .* \(one of outside, at_or"):
        resolved(composed("data.accept=[everything]"))
