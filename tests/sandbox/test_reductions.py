"""The weighted mean and its gradient, padding and emptiness included."""

import jax
import jax.numpy as jnp
import pytest

from sandbox.reductions import weighted_mean


def test_padding_has_no_part_in_value_or_gradient():
    values = jnp.array([1.0, 2.0, jnp.inf])
    weights = jnp.array([1.0, 3.0, 0.0])
    assert weighted_mean(values, weights) == 1.75
    assert jnp.array_equal(jax.grad(weighted_mean)(values, weights), jnp.array([0.25, 0.75, 0.0]))


def test_no_real_row_gives_zero_and_zero_gradient():
    value, slope = jax.value_and_grad(weighted_mean)(jnp.ones(2), jnp.zeros(2))
    assert value == 0 and jnp.array_equal(slope, jnp.zeros(2))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="weights must have the shape of values"):
        weighted_mean(jnp.ones(2), jnp.ones(3))
