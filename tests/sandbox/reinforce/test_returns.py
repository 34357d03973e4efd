"""Returns against plain loops, over every way in which an episode can end, be cut off, or go on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.reinforce import advantages, discounted_returns, full_returns, lambda_returns

LENGTH, SIDE = 12, 30
RNG = np.random.default_rng(0)
REWARDS, VALUES, NEXT_VALUES = RNG.normal(size=(3, LENGTH, SIDE))
TERMINATED, TRUNCATED = RNG.random((2, LENGTH, SIDE)) < 0.25
STEPS = (REWARDS, NEXT_VALUES, TERMINATED, TRUNCATED)


def in_order(discount, trace):
    """G_t backwards: what has ended is worth its reward; what is cut off, by the clock or the window, what V says of
    where it led; what goes on a mixture of that and the next return."""
    found = np.zeros_like(REWARDS)
    for t in reversed(range(LENGTH)):
        for e in range(SIDE):
            if TERMINATED[t, e]:
                found[t, e] = REWARDS[t, e]
            elif TRUNCATED[t, e] or t == LENGTH - 1:
                found[t, e] = REWARDS[t, e] + discount * NEXT_VALUES[t, e]
            else:
                mixed = (1 - trace) * NEXT_VALUES[t, e] + trace * found[t + 1, e]
                found[t, e] = REWARDS[t, e] + discount * mixed
    return found


def test_every_kind_of_end_is_drawn():
    last = np.arange(LENGTH)[:, None] == LENGTH - 1
    kinds = [TERMINATED & ~TRUNCATED, TRUNCATED & ~TERMINATED, TERMINATED & TRUNCATED, ~TERMINATED & ~TRUNCATED]
    for kind in kinds:
        assert (kind & last).any() and (kind & ~last).any()


@pytest.mark.parametrize("discount, trace", [(0.9, 0.7), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)])
def test_lambda_returns_are_a_plain_loops(discount, trace, float64):
    expected = in_order(discount, trace)
    found = jax.jit(functools.partial(lambda_returns, discount=discount, trace=trace))(*STEPS)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_advantages_are_sums_of_surprises(float64):
    """Â_t = Σ_k (γ λ)^{k−t} δ_k, up to where the episode ends, is cut off, or leaves the window."""
    discount, trace = 0.9, 0.7
    ended, later = TERMINATED | TRUNCATED, np.concatenate([VALUES[1:], NEXT_VALUES[-1:]])
    next_values = np.where(ended, NEXT_VALUES, later)  # where an episode goes on, a step leads to what is seen next
    surprises = REWARDS + discount * np.where(TERMINATED, 0, next_values) - VALUES
    expected = np.zeros_like(REWARDS)
    for e in range(SIDE):
        for t in range(LENGTH):
            for k in range(t, LENGTH):
                expected[t, e] += (discount * trace) ** (k - t) * surprises[k, e]
                if ended[k, e]:
                    break
    found = jax.jit(functools.partial(advantages, discount=discount, trace=trace))(
        REWARDS, VALUES, next_values, TERMINATED, TRUNCATED)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_nothing_of_the_next_episode_flows_into_this_one():
    """However large it is; nor what a step led to that ended the episode, which may be NaN."""
    rewards, values = jnp.array([1.0, 2.0, 1e30]), jnp.array([0.5, jnp.nan, 1e30])
    at_second, never = jnp.array([False, True, False]), jnp.zeros(3, bool)
    found = lambda_returns(rewards, values, at_second, never, discount=0.5, trace=1.0)
    np.testing.assert_array_equal(found[:2], [2, 2])
    found = lambda_returns(rewards, values.at[1].set(4.0), never, at_second, discount=0.5, trace=1.0)
    np.testing.assert_array_equal(found[:2], [3, 4])


def test_rewards_to_go_and_whole_returns_are_plain_sums(float64):
    """Of episodes of different lengths, zeros behind; and NaN where a reward is."""
    lengths, steps = np.array([1, 5, LENGTH]), np.arange(LENGTH)[:, None]
    rewards = np.where(steps < lengths, REWARDS[:, :3], 0)
    to_go = np.array([[sum(0.9 ** (k - t) * rewards[k, e] for k in range(t, LENGTH)) for e in range(3)]
                      for t in range(LENGTH)])
    of = jax.jit(functools.partial(discounted_returns, discount=0.9))
    found = of(rewards, steps == lengths - 1)
    np.testing.assert_allclose(found, to_go, rtol=1e-12, atol=1e-14)
    whole = full_returns(jnp.asarray(rewards), discount=0.9)
    np.testing.assert_allclose(whole, np.broadcast_to(to_go[:1], whole.shape), rtol=1e-12)
    np.testing.assert_array_equal(full_returns(jnp.asarray(rewards), discount=0.0)[3], rewards[0])
    unknown = of(np.where((steps == 2) & (lengths == 5), np.nan, rewards), steps == lengths - 1)
    np.testing.assert_array_equal(jnp.isnan(unknown), (steps <= 2) & (np.arange(3) == 1)[None])


NO = jnp.zeros(3, bool)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name, call", [
    ("discount", lambda value: lambda_returns(jnp.ones(3), jnp.ones(3), NO, NO, discount=value, trace=1.0)),
    ("trace", lambda value: lambda_returns(jnp.ones(3), jnp.ones(3), NO, NO, discount=1.0, trace=value)),
    ("trace", lambda value: advantages(jnp.ones(3), jnp.ones(3), jnp.ones(3), NO, NO, discount=1.0, trace=value)),
    ("discount", lambda value: discounted_returns(jnp.ones(3), NO, discount=value)),
    ("discount", lambda value: full_returns(jnp.ones(3), discount=value)),
])
def test_what_is_no_share_is_refused(name, call, value):
    with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\], got {value}"):
        call(value)


def test_other_shapes_and_types_are_refused():
    with pytest.raises(ValueError, match=r"must be of one shape, got \(3,\), \(3,\), \(2,\) and \(3,\)"):
        jax.eval_shape(lambda: lambda_returns(jnp.ones(3), jnp.ones(3), NO[:2], NO, discount=1.0, trace=1.0))
    for call in (lambda: discounted_returns(jnp.ones(3, int), NO, discount=0.5),
                 lambda: full_returns(jnp.ones(3, int), discount=0.5)):  # in integers, a discount of 0.5 were 0
        with pytest.raises(TypeError, match="rewards must be floating, got int32"):
            jax.eval_shape(call)
