"""Sensors: right everywhere, finite where range is zero, and blind to a full turn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import sensors

pytestmark = pytest.mark.usefixtures("float64")


def radar(state):
    return sensors.range_bearing_rate(state[:2], state[2:])


def beacon(state):
    return sensors.beacon_range(state[:2], state[2], state[3])


def with_derivatives(observe):
    return jax.jit(lambda state: (observe(state), jax.jacfwd(observe)(state), jax.jacrev(observe)(state),
                                  jax.jacfwd(jax.jacrev(observe))(state)))


@pytest.mark.parametrize("observe", [radar, beacon])
def test_value_and_derivatives_are_finite_at_range_zero_and_everywhere_else(observe):
    evaluate = with_derivatives(observe)
    for offset in ([0.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [1e-3, -1e-3], [1e6, -1e6]):
        value, forward, reverse, second = evaluate(np.array([*offset, 1.1, 0.5]))
        assert all(np.isfinite(some).all() for some in (value, forward, reverse, second))
        np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-12)


def test_at_range_zero_a_radar_tells_nothing():
    value, slope, *_ = with_derivatives(radar)(np.array([0.0, 0.0, 1.1, 0.5]))
    assert not value.any() and not slope.any()


def test_at_range_zero_a_beacon_reads_its_bias():
    value, slope, *_ = with_derivatives(beacon)(np.array([0.0, 0.0, 1.1, 0.5]))
    assert value == 0.5
    np.testing.assert_array_equal(slope, [0, 0, 0, 1])


def test_the_range_rate_is_the_derivative_of_the_range_in_time():
    p, v = np.array([-3.0, 4.0]), np.array([0.5, -1.5])
    (distance, bearing, rate), (along, turned, _) = jax.jvp(
        lambda seconds: sensors.range_bearing_rate(p + v * seconds, jnp.asarray(v)), (0.0,), (1.0,))
    np.testing.assert_allclose(rate, along, rtol=1e-14)
    np.testing.assert_allclose([distance * np.cos(bearing), distance * np.sin(bearing)], p, rtol=1e-14)
    np.testing.assert_allclose(turned, (p[0] * v[1] - p[1] * v[0]) / 25, rtol=1e-14)


def test_a_position_is_the_first_two_components():
    np.testing.assert_array_equal(sensors.position(jnp.arange(5.0)), [0, 1])


def test_wrapped_angles_are_the_same_angles_within_half_a_turn():
    angle = np.concatenate([np.linspace(-20, 20, 401), [np.pi, -np.pi, 3 * np.pi, 1e4]])
    wrapped = jax.jit(sensors.wrap_angle)(angle)
    assert np.all(np.abs(wrapped) <= np.pi + 1e-15)
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angle), atol=1e-11)
    within = np.abs(angle) < np.pi
    np.testing.assert_array_equal(wrapped[within], angle[within])


def test_the_derivative_of_wrapping_is_one():
    slope = jax.vmap(jax.grad(sensors.wrap_angle))(np.array([0.0, 3.0, -3.5, 100.0]))
    np.testing.assert_array_equal(slope, np.ones(4))
