"""Images as they could have been: what may change does, as often as asked, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.convolution import Images, cutout, flip, mean_over_views, mixup, shift

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).normal(size=(400, 5, 4, 2)).astype(np.float32)
BATCH = Images(jnp.asarray(IMAGES[:6]), jnp.eye(6), jnp.array([1.0, 1, 1, 1, 0, 0]))


def test_flipped_images_are_mirrored_or_not_at_the_rate():
    flipped = np.asarray(flip(KEY, IMAGES, rate=0.25))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert np.all(mirrored | (flipped == IMAGES).all((1, 2, 3)))
    assert 60 < mirrored.sum() < 140  # 100 expected, 4.6 standard deviations


def test_shifted_images_are_windows_of_the_padded_ones_each_as_likely():
    fill = np.array([7.0, -7.0], np.float32)
    shifted = np.asarray(jax.jit(shift, static_argnames="most")(KEY, IMAGES, most=1, fill=fill))
    padded = np.broadcast_to(fill, (400, 7, 6, 2)).copy()
    padded[:, 1:-1, 1:-1] = IMAGES
    windows = np.stack([padded[:, i:i + 5, j:j + 4] for i in range(3) for j in range(3)])
    matches = np.isclose(shifted, windows, atol=1e-5).all((2, 3, 4))
    assert np.all(matches.sum(axis=0) == 1)
    assert np.all(matches.sum(axis=1) > 15)  # 44 each, 6.3 standard deviations
    np.testing.assert_allclose(shift(KEY, IMAGES[:3], most=0), IMAGES[:3], atol=1e-6)


def test_cutout_covers_one_square_that_may_reach_over_the_edge():
    covered = np.asarray(jax.jit(cutout, static_argnames="size")(KEY, IMAGES, size=2, fill=9.0)) == 9.0
    assert np.all(covered[..., 0] == covered[..., 1])
    heights, widths = covered[..., 0].any(axis=2).sum(axis=1), covered[..., 0].any(axis=1).sum(axis=1)
    assert set(heights) == set(widths) == {1, 2}
    assert np.all(covered[..., 0].sum((1, 2)) == heights * widths)
    assert np.all(covered[..., 0].any(axis=0)), "no place is out of reach"
    assert not np.any(np.asarray(cutout(KEY, IMAGES[:3], size=0, fill=9.0)) == 9.0)


def test_mixed_images_and_targets_are_mixed_alike():
    mixed = jax.jit(mixup, static_argnames="alpha")(KEY, BATCH, alpha=1.0)
    np.testing.assert_allclose(mixed.targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed.images, np.einsum("ij,jhwc->ihwc", mixed.targets, BATCH.images), atol=1e-5)
    with_padding = np.asarray(mixed.targets)[:, 4:].sum(axis=1) > 0
    assert np.all((np.asarray(mixed.weights) == 0) == with_padding) and 0 < with_padding.sum() < 6


def test_views_are_averaged():
    def apply(params, images):
        return params * images[:, 0, :, 0]

    both = mean_over_views(apply, (lambda x: x, lambda x: x[:, :, ::-1]))(2.0, IMAGES)
    np.testing.assert_allclose(both, apply(1.0, IMAGES) + apply(1.0, IMAGES[:, :, ::-1]), rtol=1e-6)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: flip(KEY, IMAGES, rate=1.5), r"rate must be in \[0, 1\], got 1.5"),
    (lambda: shift(KEY, IMAGES, most=-1), "most must be 0 pixels or more, got -1"),
    (lambda: cutout(KEY, IMAGES, size=-1), "size must be 0 pixels or more, got -1"),
    (lambda: mixup(KEY, BATCH, alpha=0.0), "alpha must be positive, got 0.0"),
    (lambda: mean_over_views(None, ()), "views must be one function of images or more, got none"),
])
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
