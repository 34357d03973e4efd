"""Two losses, two optimisers and a way to move, made into a step of the kind that `sandbox.training` runs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.gan.game import Players, game_of, tree_norm
from sandbox.gan.methods import Method, alternating

__all__ = ["GameState", "game_step", "init_game"]


class GameState(NamedTuple):
    """A game under way: parameters and optimisers' states of both players, key of the run, number of steps done."""

    params: Players
    opt_states: Players
    key: jax.Array
    step: jax.Array


def init_game(params: Players, optimizers: Players, key: jax.Array) -> GameState:
    """A game at step 0.

    >>> import optax
    >>> int(init_game(Players(jnp.zeros(2), jnp.zeros(3)), Players(optax.sgd(0.1), optax.adam(0.1)),
    ...               jax.random.key(0)).step)
    0
    """
    opt_states = Players(*(optimizer.init(of) for optimizer, of in zip(optimizers, params)))
    return GameState(Players(*params), opt_states, key, jnp.zeros((), jnp.int32))


def game_step(losses: Players | Callable[[jax.Array], Players], optimizers: Players, sample: Callable[..., Any], *,
              method: Method | None = None) -> Callable[..., tuple[GameState, dict[str, jax.Array]]]:
    """One step of both players, on freshly drawn batches.

    batch_i = sample(fold_in(fold_in(key, step), i), *data),   i = 0, 1, ... as the method asks for them.

    Args:
      losses: (params, batch, *, opponent) -> (scalar, aux) of each player, hyperparameters bound; or a function of the
        number of steps done that returns them: penalties may follow a schedule. Where the method asks how a loss
        changes with the opponent, both are called with held=False.
      optimizers: of each player; two time scales are two step sizes.
      sample: (key, *data) -> batch.
      method: `alternating()` unless told otherwise.
    Returns:
      step(GameState, *data) -> (GameState, metrics): losses as "generator" and "discriminator", and the norms of their
      gradients, where they were taken, as "generator_field_norm" and "discriminator_field_norm".

    >>> import optax
    >>> from sandbox.gan.dirac import dirac_gan
    >>> from sandbox.gan.game import losses_of
    >>> optimizers = Players(optax.sgd(1.0), optax.sgd(1.0))
    >>> step = game_step(losses_of(dirac_gan()), optimizers, lambda key: None)
    >>> state, metrics = step(init_game(Players(jnp.float32(1), jnp.float32(0)), optimizers, jax.random.key(0)))
    >>> float(state.params.discriminator), float(metrics["discriminator_field_norm"])
    (-0.5, 0.5)
    """
    method = alternating() if method is None else method
    optimizers = Players(*optimizers)

    def step(state: GameState, *data) -> tuple[GameState, dict[str, jax.Array]]:
        key = jax.random.fold_in(state.key, state.step)
        now = losses(state.step) if callable(losses) else losses

        def draw(i):
            return game_of(now, sample(jax.random.fold_in(key, i), *data), held=not method.mixed)

        moved = method.move(draw, optimizers, state.params, state.opt_states)
        return GameState(moved.params, moved.opt_states, state.key, state.step + 1), {
            "generator": moved.losses.generator,
            "discriminator": moved.losses.discriminator,
            "generator_field_norm": tree_norm(moved.gradients.generator),
            "discriminator_field_norm": tree_norm(moved.gradients.discriminator),
        }

    return step
