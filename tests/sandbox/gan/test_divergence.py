"""A game that diverges is stopped at its last good step and named; others, and what comes back from a step, go on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sandbox.averaging import averaged, with_average
from sandbox.gan import (
    DISCRIMINATOR,
    GENERATOR,
    NEITHER,
    Players,
    bilinear_game,
    game_step,
    halted,
    init_game,
    losses_of,
    simultaneous,
    watched,
)


def _step(generator, discriminator):
    """x ← x + 1, and these norms by x."""
    def step(x):
        return x + 1, {"generator_field_norm": jnp.asarray(generator(x), float),
                       "discriminator_field_norm": jnp.asarray(discriminator(x), float), "loss": x}

    return step


def _played(step, num_steps, limit=10.0):
    return jax.lax.scan(lambda state, _: halted(step, limit=limit)(state), watched(jnp.array(1.0)), length=num_steps)


@pytest.mark.parametrize("generator, discriminator, by, norm", [
    (lambda x: 4 * x, lambda x: x, GENERATOR, 12),
    (lambda x: x, lambda x: 4.5 * x, DISCRIMINATOR, 13.5),
    (lambda x: 4 * x, lambda x: 4.5 * x, DISCRIMINATOR, 13.5),
    (lambda x: jnp.where(x > 2, jnp.nan, 1.0), lambda x: x, GENERATOR, np.finfo(np.float32).max),
], ids=["generator", "discriminator", "both", "nan"])
def test_who_ran_away_and_when(generator, discriminator, by, norm):
    end, metrics = _played(_step(generator, discriminator), 6)
    assert float(end.state) == 3, "after two good steps"
    assert (int(end.diverged_at), int(end.by), int(end.step)) == (3, by, 6)
    np.testing.assert_array_equal(metrics["loss"], [1, 2, 0, 0, 0, 0])
    assert float(end.field_norm) == norm


def test_a_state_that_is_not_finite_is_not_taken():
    def step(x):
        return jnp.where(x > 2, jnp.inf, x + 1), {"generator_field_norm": x, "discriminator_field_norm": x}

    end, _ = _played(step, 4)
    assert float(end.state) == 3 and int(end.diverged_at) == 3
    assert int(end.by) == NEITHER and float(end.field_norm) == 0


def test_a_game_that_behaves_is_left_alone():
    end, metrics = _played(_step(lambda x: 1.0, lambda x: 1.0), 5)
    assert float(end.state) == 6 and int(end.diverged_at) == 0 and int(end.by) == 0
    np.testing.assert_array_equal(metrics["loss"], [1, 2, 3, 4, 5])


def test_one_of_two_seeds_diverges_and_the_other_goes_on():
    """x y by simultaneous steps of 1 from (30, 30): to (0, 60), (−60, 60) and (−120, 0), where y's gradient is 120."""
    optimizers = Players(optax.sgd(1.0), optax.sgd(1.0))
    step = game_step(losses_of(bilinear_game(jnp.eye(1))), optimizers, lambda key: None, method=simultaneous())
    step = halted(averaged(step, decay=0.5), limit=100.0)

    def initial(x):
        return watched(with_average(init_game(Players(x, x), optimizers, jax.random.key(0))))

    starts = jnp.array([[1.0], [30.0]])
    end, _ = jax.jit(jax.vmap(lambda x: jax.lax.scan(lambda state, _: step(state), initial(x), length=8)))(starts)
    assert end.diverged_at.tolist() == [0, 4] and end.state.state.step.tolist() == [8, 3]
    assert end.state.state.params.generator[1].tolist() == [-120] and int(end.by[1]) == DISCRIMINATOR
    assert float(end.field_norm[1]) == 120


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="limit must be above 0, got 0"):
        halted(lambda state: (state, {}), limit=0)
