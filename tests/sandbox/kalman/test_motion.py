"""Motions: no seam at zero turn rate, and two short steps do what one long one does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import motion
from tests.sandbox.kalman.problems import assert_close

pytestmark = pytest.mark.usefixtures("float64")

STATE = np.array([1.0, -2.0, 3.0, 0.7, 0.4])  # x, y, speed, heading, turn rate
turn, slope = jax.jit(motion.constant_turn), jax.jit(jax.jacfwd(motion.constant_turn, (0, 1)))
curvature = jax.jit(jax.jacfwd(jax.jacrev(motion.constant_turn)))


def turning(rate):
    return np.append(STATE[:4], rate)


def test_at_turn_rate_zero_it_drives_straight():
    ahead = STATE[2] * 0.5 * np.array([np.cos(0.7), np.sin(0.7)])
    np.testing.assert_allclose(turn(turning(0.0), 0.5), turning(0.0) + np.array([*ahead, 0, 0, 0]), rtol=1e-15)


@pytest.mark.parametrize("rate", [1e-300, 1e-160, 1e-12, 1e-7, 1e-5])
def test_there_is_no_seam_at_turn_rate_zero(rate):
    at_zero, curved = slope(turning(0.0), 0.5), curvature(turning(0.0), 0.5)
    assert np.isfinite(curved).all()
    for sign in (-1, 1):
        here = turning(sign * rate)
        np.testing.assert_allclose(turn(here, 0.5), turn(turning(0.0), 0.5) + at_zero[0][:, 4] * sign * rate, atol=1e-9)
        assert_close(slope(here, 0.5), at_zero, 3 * rate + 1e-14)
        assert_close(curvature(here, 0.5), curved, 3 * rate + 1e-9)


def test_an_arc_is_the_closed_form():
    speed, heading, rate = STATE[2:]
    for seconds in (0.0, 0.5, 20.0):
        after = heading + rate * seconds
        place = speed / rate * np.array([np.sin(after) - np.sin(heading), np.cos(heading) - np.cos(after)])
        np.testing.assert_allclose(turn(STATE, seconds), STATE + np.array([*place, 0, rate * seconds, 0]), rtol=1e-12)


@pytest.mark.parametrize("move, state", [
    (motion.constant_velocity, STATE[:4]),
    (motion.constant_turn, STATE),
    (lambda state, seconds: motion.unicycle(state, STATE[3:], seconds), STATE[:3]),
], ids=["constant velocity", "constant turn", "unicycle"])
def test_two_short_steps_are_one_long_one(move, state):
    step = jax.jit(move)
    np.testing.assert_allclose(step(step(state, 0.3), 0.9), step(state, 1.2), rtol=1e-13)


def test_two_short_steps_of_constant_velocity_add_the_noise_of_one_long_one():
    """Q(Δt₁ + Δt₂) = F Q(Δt₁) Fᵀ + Q(Δt₂)."""
    def Q(seconds):
        G = np.asarray(motion.constant_velocity_noise(seconds, 0.8))
        return G @ G.T

    F = np.asarray(jax.jacfwd(motion.constant_velocity)(STATE[:4], 0.9))
    np.testing.assert_allclose(F @ Q(0.3) @ F.T + Q(0.9), Q(1.2), rtol=1e-13)


def test_noise_of_constant_turn_is_that_of_constant_velocity_along_the_heading_and_in_the_heading():
    G = np.asarray(motion.constant_turn_noise(turning(0.0), 0.5, 0.8, 0.3))
    along, turned = (np.asarray(motion.constant_velocity_noise(0.5, density, num_axes=1)) for density in (0.8, 0.3))
    direction = np.array([[np.cos(0.7), 0], [np.sin(0.7), 0], [0, 1]])
    Q = np.zeros((5, 5))
    Q[:3, :3], Q[3:, 3:] = direction @ along @ along.T @ direction.T, turned @ turned.T
    np.testing.assert_allclose(G @ G.T, Q, rtol=1e-13, atol=1e-16)


def test_noise_of_the_unicycle_turns_with_it_and_grows_with_time():
    G = np.asarray(motion.unicycle_noise(STATE[:3], np.array([1.0, 0.4]), 2.0, 0.3, 0.2, 0.1))
    c, s = np.cos(3.0 + 0.4), np.sin(3.0 + 0.4)  # the heading half way
    turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    np.testing.assert_allclose(G @ G.T, 2.0 * turned @ np.diag([0.3, 0.1, 0.2]) ** 2 @ turned.T, rtol=1e-13, atol=1e-16)


def test_a_unicycle_drives_a_circle():
    """Of radius v / ω, about a point to its left, and back to where it began."""
    control, centre = np.array([2.0, 0.5]), np.array([1.0, -2.0]) + 4.0 * np.array([-np.sin(0.7), np.cos(0.7)])
    state = np.array([1.0, -2.0, 0.7])
    step = jax.jit(motion.unicycle)
    for _ in range(8):
        state = step(state, control, 2 * np.pi / 0.5 / 8)
        np.testing.assert_allclose(np.hypot(*(state[:2] - centre)), 4.0, rtol=1e-12)
    np.testing.assert_allclose(state, [1.0, -2.0, 0.7 + 2 * np.pi], rtol=1e-12)


def test_no_time_no_motion_no_noise():
    np.testing.assert_array_equal(turn(STATE, 0.0), STATE)
    for noise in (motion.constant_velocity_noise(0.0, 1.0), motion.constant_turn_noise(STATE, 0.0, 1.0, 1.0),
                  motion.unicycle_noise(STATE[:3], jnp.ones(2), 0.0, 1.0, 1.0, 1.0)):
        assert not noise.any()
