"""Averaged weights: the plain mean of what has been, and later a fading one."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.averaging import averaged, with_average
from sandbox.training import chunk_of

State = collections.namedtuple("State", ("params", "step"))


def walk(state):
    """w_t = t²."""
    return State({"w": (state.step + 1.0) ** 2}, state.step + 1), {}


def after(num_steps, decay):
    start = with_average(State({"w": jnp.array(0.0)}, jnp.array(0)))
    return jax.jit(chunk_of(averaged(walk, decay=decay), num_steps))(start).state


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_it_is_the_recursion(decay):
    mean = 0.0
    for t in range(1, 31):
        share = max(1 - decay, 1 / t)
        mean = (1 - share) * mean + share * t**2
    np.testing.assert_allclose(after(30, decay).average["w"], mean, rtol=1e-6)


def test_at_first_it_is_the_plain_mean_of_the_steps_and_not_of_where_they_began():
    both = after(5, 0.9)
    np.testing.assert_allclose(both.average["w"], np.mean(np.arange(1, 6) ** 2), rtol=1e-6)
    assert float(both.state.params["w"]) == 25


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_never_forgets_is_refused(decay):
    with pytest.raises(ValueError, match=rf"decay must be in \[0, 1\), got {decay}"):
        averaged(walk, decay=decay)
