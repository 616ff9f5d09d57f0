import gc

import numpy as np
import pytest

from entreg.priors import gold
from entreg.priors.gold import (
    BANDWIDTHS,
    _falloff,
    _fit_weights,
    _over_pairs,
    _over_rows,
    gold_standard,
    others_log_density,
)
from entreg.priors.kde import FixationKde

HEIGHT, WIDTH, IMAGES, SUBJECTS, EACH = 48, 64, 30, 8, 6


def simulated(seed=0, images=IMAGES):
    """Fixations of 8 people on images with one spot each and a common centre bias, and the density they come from."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]

    def bump(y, x, sigma):
        density = np.exp(-0.5 * (((rows + 0.5) / HEIGHT - y) ** 2 + ((columns + 0.5) / WIDTH - x) ** 2) / sigma**2)
        return density / density.sum()

    n = SUBJECTS * EACH
    ys, xs, oracle = [], [], []
    for _ in range(images):
        p = 0.6 * bump(*rng.uniform(0.1, 0.9, 2), 0.05) + 0.3 * bump(0.5, 0.5, 0.2) + 0.1 / (HEIGHT * WIDTH)
        pixel = rng.choice(p.size, n, p=p.ravel() / p.sum())
        ys.append(pixel // WIDTH), xs.append(pixel % WIDTH), oracle.append(np.log(p.ravel()[pixel]))
    image, subject = np.repeat(np.arange(images), n), np.tile(np.repeat(np.arange(SUBJECTS), EACH), images)
    y, x = np.concatenate(ys), np.concatenate(xs)
    kde = FixationKde((y + 0.5) / HEIGHT, (x + 0.5) / WIDTH, image, 0.1, 1e-6)
    return y, x, image, subject, np.concatenate(oracle), kde.log_density_at(y, x, image, HEIGHT, WIDTH)


def test_gold_lies_between_prior_and_oracle(caplog):
    y, x, image, subject, oracle, log_prior = simulated()
    sizes = np.tile([HEIGHT, WIDTH], (IMAGES, 1))
    gold = gold_standard(y, x, image, subject, sizes, log_prior)
    assert log_prior.mean() + 0.5 < gold.log_density.mean() < oracle.mean()
    alternatives = [gold_standard(y, x, image, subject, sizes, log_prior, (bandwidth,)) for bandwidth in BANDWIDTHS]
    likeliest = max(alternatives, key=lambda one: one.log_density.mean())
    assert gold.bandwidth == likeliest.bandwidth and 0.02 < gold.bandwidth < 0.08  # the spots' sigma is 0.05
    assert "bandwidth" not in caplog.text
    assert gold.weights.sum() == pytest.approx(1)
    assert 0.4 < gold.weights[0] < 0.9  # 60 % of the fixations lie on the spot that the others show


def test_others_kde_is_the_sum_over_other_subjects():
    y, x, subject = np.array([3, 10, 40, 11]), np.array([5, 20, 60, 22]), np.array(["a", "a", "b", "c"])
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)

    def kernel(k):
        density = np.exp(-0.5 * (((rows - y[k]) / (0.1 * HEIGHT)) ** 2 + ((columns - x[k]) / (0.1 * WIDTH)) ** 2))
        return density / density.sum()

    expected = [np.mean([kernel(j)[y[k], x[k]] for j in range(4) if subject[j] != subject[k]]) for k in range(4)]
    np.testing.assert_allclose(others_log_density(y, x, subject, HEIGHT, WIDTH, 0.1), np.log(expected), atol=1e-12)


@pytest.mark.parametrize("bandwidth, faintest", [(0.02, 1e-15), (0.1, 1)])
def test_row_by_row_the_sum_is_that_over_all_pairs(bandwidth, faintest):
    """Also where the others are so far away that what they give vanishes beside a person's own kernels."""
    y, x, _, subject, _, _ = simulated(images=1)
    inside = (y > 8) & (x > 8)
    y, x, person = (
        np.append(y[inside], [0, 1]),
        np.append(x[inside], [0, 1]),
        np.append(subject[inside], [SUBJECTS] * 2),
    )
    given = person, _falloff(HEIGHT, bandwidth), _falloff(WIDTH, bandwidth), np.linspace(1, 2, len(y))
    pairs, rows = (way(y, x, *given) for way in (_over_pairs, _over_rows))
    assert 0 < pairs[-2:].max() < faintest  # those of the person who is alone in a corner
    np.testing.assert_allclose(rows, pairs, rtol=1e-12)


def test_many_fixations_are_summed_row_by_row(monkeypatch):
    """7,000 of two people on 48x64 pixels: 49 million pairs."""
    random = np.random.default_rng(0)
    y, x, person = random.integers(HEIGHT, size=7000), random.integers(WIDTH, size=7000), np.arange(7000) % 2
    falloff = _falloff(HEIGHT, 0.1), _falloff(WIDTH, 0.1)
    pairs = _over_pairs(y, x, person, *falloff, np.ones(7000)) / 3500
    monkeypatch.setattr(gold, "_over_pairs", None)
    log_density = others_log_density(y, x, person, HEIGHT, WIDTH, 0.1, np.ones(7000))
    np.testing.assert_allclose(log_density, np.log(pairs), rtol=0, atol=1e-12)


def test_one_person_has_no_others_row_by_row():
    y, x, falloff = np.arange(5), np.arange(5), _falloff(HEIGHT, 0.1)
    assert (_over_rows(y, x, np.zeros(5, dtype=int), falloff, falloff, np.ones(5)) == 0).all()


def test_own_fixations_are_never_used():
    y, x, _, subject, _, _ = simulated(images=1)
    before = others_log_density(y, x, subject, HEIGHT, WIDTH, 0.3)  # wide, so that each fixation matters to all others
    moved = y.copy()
    moved[0] = HEIGHT - 1 - y[0]  # the first fixation of person 0
    after = others_log_density(moved, x, subject, HEIGHT, WIDTH, 0.3)
    own = np.flatnonzero(subject == 0)[1:]
    np.testing.assert_array_equal(after[own], before[own])
    assert (after[subject != 0] != before[subject != 0]).all()


def test_alone_on_every_image_the_prior_and_uniform_remain():
    y, x, image, subject, _, log_prior = simulated(images=3)
    gold = gold_standard(y, x, image, np.zeros_like(subject), np.tile([HEIGHT, WIDTH], (3, 1)), log_prior)
    mixture = np.exp(log_prior) * gold.weights[:2].sum() + gold.weights[2] / (HEIGHT * WIDTH)
    np.testing.assert_allclose(gold.log_density, np.log(mixture), atol=1e-12)


def test_images_of_several_sizes_are_their_own_frames():
    y, x, image, subject, _, log_prior = simulated(images=2)
    subject = np.where(image == 0, subject, 0)  # image 1: one person only
    sizes = np.array([[HEIGHT, WIDTH], [HEIGHT + 10, WIDTH + 20]])
    gold = gold_standard(y, x, image, subject, sizes, log_prior, bandwidths=(0.05,))
    first = image == 0
    others = others_log_density(y[first], x[first], subject[first], HEIGHT, WIDTH, 0.05)
    components = np.exp(
        [
            np.append(others, log_prior[~first]),
            log_prior,
            np.where(first, -np.log(HEIGHT * WIDTH), -np.log((HEIGHT + 10) * (WIDTH + 20))),
        ]
    )
    np.testing.assert_allclose(gold.log_density, np.log(gold.weights @ components), atol=1e-12)


def test_fixations_that_are_not_ordered_by_image_are_refused():
    """An image's would be taken for those of several images, with fewer other people on each."""
    y, x, image, subject, _, log_prior = simulated(images=2)
    mixed = np.argsort(subject, kind="stable")
    with pytest.raises(AssertionError, match="image after image"):
        gold_standard(y, x, image[mixed], subject, np.tile([HEIGHT, WIDTH], (2, 1)), log_prior, (0.05,))


def test_weights_are_the_likeliest():
    rng = np.random.default_rng(0)
    components = rng.normal(size=(3, 400))
    weights, log_density = _fit_weights(components.copy())
    np.testing.assert_allclose(log_density, np.log(weights @ np.exp(components)), atol=1e-12)
    grid = [(a, b, 1 - a - b) for a in np.linspace(0, 1, 41) for b in np.linspace(0, 1 - a, 41)]
    best = max(np.log(np.array(w) @ np.exp(components)).mean() for w in grid)
    assert log_density.mean() >= best - 1e-7


def test_far_apart_fixations_do_not_underflow():
    components = np.array([[-np.inf, -2000.0], [-2000.0, -2001.0], [-2100.0, -2100.0]])
    weights, log_density = _fit_weights(components.copy())
    assert np.isfinite(log_density).all() and weights.sum() == pytest.approx(1)


def test_a_bandwidth_at_the_end_of_those_tried_is_told(caplog):
    """The spots' sigma is 0.05: the best of narrower ones is the widest."""
    y, x, image, subject, _, log_prior = simulated()
    narrow = (0.01, 0.02, 0.03)
    gold = gold_standard(y, x, image, subject, np.tile([HEIGHT, WIDTH], (IMAGES, 1)), log_prior, narrow)
    assert gold.bandwidth == 0.03
    assert "the best bandwidth, 0.03 of the image's side, is at the end of the range" in caplog.text


def test_a_mixture_is_the_same_in_parts(monkeypatch):
    """Of millions of fixations a part is in memory at a time; seven do not divide a thousand."""
    components = np.random.default_rng(0).normal(-9, 2, (3, 1000))
    whole = gold._fit_weights(components.copy())
    monkeypatch.setattr("entreg.priors.parts.PART", 7)
    parts = gold._fit_weights(components.copy())
    for found, expected in zip(parts, whole, strict=True):
        assert found == pytest.approx(expected, abs=1e-12)
    mixture = np.log(whole[0] @ np.exp(components))
    assert whole[1] == pytest.approx(mixture, abs=1e-12)


def test_no_matrix_of_an_image_outlives_its_sums():
    """A function that calls itself from within another one would keep 13 MB of each image of 1024x768 pixels."""
    rng = np.random.default_rng(0)
    y, x, person = rng.integers(0, HEIGHT, 50), rng.integers(0, WIDTH, 50), np.arange(50) % 3
    gc.collect()
    gc.disable()
    try:
        _over_rows(y, x, person, _falloff(HEIGHT, 0.1), _falloff(WIDTH, 0.1), np.ones(50))
        assert gc.collect() == 0
    finally:
        gc.enable()
