"""Points of a plane: where they lie, and that a density is one."""

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching import checkerboard_log_density, draw_checkerboard, draw_swiss_roll, draw_two_moons

KEY, NUM = jax.random.key(0), 4000


def test_a_checkerboard_is_uniform_on_its_dark_cells():
    x = np.asarray(draw_checkerboard(KEY, NUM))
    np.testing.assert_allclose(checkerboard_log_density(x), -np.log(8), rtol=1e-6)
    cells, counts = np.unique(np.floor(x), axis=0, return_counts=True)
    assert len(cells) == 8 and np.abs(counts - NUM / 8).max() < 5 * np.sqrt(NUM / 8)
    np.testing.assert_allclose((x % 1).mean(axis=0), 0.5, atol=5 * np.sqrt(1 / 12 / NUM))
    centres = (np.stack(np.meshgrid(*[np.arange(-3, 3)] * 2), axis=-1).reshape(-1, 2) + 0.5).astype(np.float32)
    assert np.isclose(np.exp(checkerboard_log_density(jnp.asarray(centres))).sum(), 1.0), "cells have an area of 1"


def test_moons_are_each_others_image():
    x = np.asarray(draw_two_moons(KEY, NUM, sigma=0.0))
    circles = np.stack([np.hypot(*(side * x / 2 + [[0.5, 0.25]]).T) for side in (1, -1)], axis=1)
    assert np.all(np.isclose(circles, 1, atol=1e-5).any(axis=1))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=0.15)


def test_a_roll_is_as_far_from_the_middle_as_it_is_turned():
    x = np.asarray(draw_swiss_roll(KEY, NUM, sigma=0.0))
    radius = np.hypot(*x.T)
    angle = 5 * radius
    np.testing.assert_allclose(x, np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None], atol=1e-4)
    assert angle.min() > 1.5 * np.pi - 1e-3 and angle.max() < 4.5 * np.pi + 1e-3
