"""Noise levels: where they begin and end, what is even in them, and what is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.score_matching.levels import (
    edm_levels,
    geometric_levels,
    require_falling,
    require_levels,
    tangent_levels,
    with_zero,
)

MAKERS = {"edm": edm_levels, "geometric": geometric_levels, "tangent": tangent_levels}
every_maker = pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)


@every_maker
@given(steps=st.integers(1, 60), sigma_min=st.floats(1e-3, 1), ratio=st.floats(1.5, 1e5))
def test_levels_fall_from_the_first_to_the_last(maker, steps, sigma_min, ratio):
    levels = require_levels(maker(steps, sigma_min, sigma_min * ratio))
    assert levels.shape == (steps + 1,) and isinstance(levels, np.ndarray)
    np.testing.assert_allclose(levels[[0, -1]], [sigma_min * ratio, sigma_min], rtol=1e-9)


@given(rho=st.floats(0.5, 10), sigma_data=st.floats(0.1, 10))
def test_what_is_even_in_them(rho, sigma_data):
    for even in (edm_levels(7, 0.1, 5.0, rho) ** (1 / rho), np.log(geometric_levels(7, 0.1, 5.0)),
                 np.arctan(tangent_levels(7, 0.1, 5.0, sigma_data) / sigma_data)):
        np.testing.assert_allclose(np.diff(even), (even[-1] - even[0]) / 7, rtol=1e-6)


def test_edm_levels_with_rho_1_are_evenly_spaced_and_with_much_rho_geometric():
    np.testing.assert_allclose(edm_levels(4, 1.0, 9.0, rho=1.0), [9, 7, 5, 3, 1])
    np.testing.assert_allclose(edm_levels(4, 1.0, 16.0, rho=1e6), geometric_levels(4, 1.0, 16.0), rtol=1e-4)


def test_the_18_levels_of_edm():
    levels = with_zero(edm_levels(17))
    assert len(levels) == 19 and levels[0] == pytest.approx(80) and levels[-1] == 0
    roots = 80 ** (1 / 7) + np.arange(18) / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))
    np.testing.assert_allclose(levels[:-1], roots**7, rtol=1e-12)


@every_maker
@pytest.mark.parametrize("given, words", [
    ((0,), "steps must be at least 1, got 0"),
    ((-3,), "steps must be at least 1, got -3"),
    ((3, 0.0), "levels must be 0 < sigma_min < sigma_max, got 0.0 and"),
    ((3, -1.0), "levels must be 0 < sigma_min < sigma_max, got -1.0 and"),
    ((3, 2.0, 1.0), "levels must be 0 < sigma_min < sigma_max, got 2.0 and 1.0"),
    ((3, 1.0, float("inf")), "levels must be 0 < sigma_min < sigma_max, got 1.0 and inf"),
])
def test_makers_refuse(maker, given, words):
    with pytest.raises(ValueError, match=words):
        maker(*given)


@pytest.mark.parametrize("call, words", [
    (lambda: edm_levels(3, rho=0.0), "rho must be above 0, got 0.0"),
    (lambda: tangent_levels(3, sigma_data=0.0), "sigma_data must be above 0, got 0.0"),
    (lambda: with_zero(with_zero(edm_levels(2))), "levels must be above 0, got 0.0"),
    (lambda: require_levels([1.0, 2.0]), "levels must fall from each to the next, got 1.0 before 2.0"),
    (lambda: require_levels([2.0, 2.0]), "levels must fall from each to the next, got 2.0 before 2.0"),
    (lambda: require_levels([2.0, float("nan"), 1.0]), "levels must fall from each to the next, got 2.0 before nan"),
    (lambda: require_levels([float("inf"), 1.0]), "levels must fall from each to the next, got inf before 1.0"),
    (lambda: require_levels([2.0, 0.0, -1.0]), "levels must be above 0, or end in 0, got -1.0"),
    (lambda: require_levels([1.0]), r"levels must be \(n \+ 1,\), at least 2 for one step or more, got \(1,\)"),
    (lambda: require_levels(np.ones((2, 2))), r"levels must be \(n \+ 1,\), at least 2 .* got \(2, 2\)"),
    (lambda: require_levels([1.0, 0.0], zero=False), "levels must be above 0, got 0.0"),
    (lambda: require_falling("times", [0.0, 1.0]), "times must fall from each to the next, got 0.0 before 1.0"),
])
def test_what_is_no_level_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_traced_levels_are_refused():
    with pytest.raises(TypeError, match=r"levels must be known when the sampler is compiled, got traced \(2,\)"):
        jax.jit(require_levels)(jnp.array([2.0, 1.0]))


def test_levels_of_jax_and_lists_are_taken_as_float64():
    for levels in ([2, 1], jnp.array([2.0, 1.0])):
        assert require_levels(levels).dtype == np.float64
