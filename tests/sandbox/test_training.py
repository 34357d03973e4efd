"""Steps, chunks and runs: the same bits however a run is cut, and a bad run held while others go on."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from sandbox.training import all_finite, chunk_of, first_nonfinite_leaf, init_state, step_of

TARGET = jnp.array([1.0, -2.0, 3.0])
OPTIMIZER = optax.adam(0.1)


def loss(params, batch):
    return jnp.mean((params["w"] - batch) ** 2), None


def sample(key, target):
    return target + 0.1 * jax.random.normal(key, target.shape)


def start(seed=0):
    return init_state({"w": jnp.zeros(3)}, OPTIMIZER, jax.random.key(seed))


STEP = step_of(loss, OPTIMIZER, sample)


def test_a_step_is_the_optimisers_step_on_the_batch_of_its_key():
    state = start()
    batch = sample(jax.random.fold_in(state.key, 0), TARGET)
    gradient = {"w": 2 * (state.params["w"] - batch) / 3}
    updates, _ = OPTIMIZER.update(gradient, state.opt_state, state.params)
    new, metrics = STEP(state, TARGET)
    chex.assert_trees_all_close(new.params, optax.apply_updates(state.params, updates), rtol=1e-6)
    assert metrics["loss"] == loss(state.params, batch)[0]
    assert new.step == 1


def test_one_chunk_and_two_halves_end_with_the_same_bits():
    whole = jax.jit(chunk_of(STEP, 6))(start(), TARGET).state
    half = jax.jit(chunk_of(STEP, 3))
    chex.assert_trees_all_equal(whole, half(half(start(), TARGET).state, TARGET).state)


def test_a_chunk_is_traced_once_for_many_calls():
    chex.clear_trace_counter()
    chunk = jax.jit(chex.assert_max_traces(chunk_of(STEP, 2), n=1), donate_argnums=0)
    state = start()
    for _ in range(3):
        state = chunk(state, TARGET).state
    assert state.step == 6


@pytest.mark.parametrize("runs", ["vmap", "map"])
@pytest.mark.parametrize("data_axis", [None, 0])
def test_seeds_together_equal_each_alone(runs, data_axis):
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), start(0), start(1))
    data = TARGET if data_axis is None else jnp.stack([TARGET, 2 * TARGET])
    together = jax.jit(chunk_of(STEP, 4, runs=runs, data_axis=data_axis))(states, data)
    for k in range(2):
        alone = jax.jit(chunk_of(STEP, 4))(start(k), TARGET * (1 + k * (data_axis == 0)))
        chex.assert_trees_all_close(jax.tree.map(lambda leaf, k=k: leaf[k], together.state.params),
                                    alone.state.params, rtol=1e-6)
        assert together.metrics["loss"].shape == (2, 4)


def test_a_run_that_turns_nonfinite_stands_still_and_the_other_goes_on():
    chunk = jax.jit(chunk_of(lambda x: (x * 1e20, {"x": x}), 3, runs="vmap"))
    state, _, finite = chunk(jnp.array([1.0, 0.0]))
    assert jnp.array_equal(state, jnp.array([1.0, 0.0]))
    assert finite.tolist() == [False, True]


def test_nonfinite_metrics_count_and_integers_do_not():
    assert not all_finite({"loss": jnp.array([1.0, jnp.nan])})
    assert all_finite({"key": jax.random.key(0), "step": jnp.array(3), "w": jnp.ones(2)})
    assert first_nonfinite_leaf({"ok": jnp.ones(1), "step": jnp.array(3)}) is None
    assert first_nonfinite_leaf({"state": start()._replace(params={"w": jnp.array([jnp.nan])})}) == (
        "['state'].params['w']")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        chunk_of(STEP, 0)
    with pytest.raises(ValueError, match="runs must be"):
        chunk_of(STEP, 1, runs="twice")
