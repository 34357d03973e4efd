"""How fast a method comes home, or leaves: predicted from the game's Jacobian, and observed in runs of the method."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from sandbox.gan.competitive import competitive
from sandbox.gan.game import Game, Players, eigenvalues, jacobian, losses_of
from sandbox.gan.linearised import LINEARISED, Plan, linearised_update
from sandbox.gan.methods import Method, alternating, consensus, extra_gradient, move_both, simultaneous
from sandbox.gan.playing import GameState, game_step, init_game
from sandbox.tracing import is_concrete

__all__ = ["method_of", "observed_rate", "predicted_rate", "spectral_radius"]


def spectral_radius(matrix: jax.Array) -> jax.Array:
    """Largest |λ|: what a long run of z ← M z grows by in a step. Where matrices may be, see `eigenvalues`.

    Args:
      matrix: (..., N, N).
    Returns:
      (...) >= 0.

    >>> spectral_radius(jnp.array([[0.0, -2.0], [2.0, 0.0]]))
    Array(2., dtype=float32)
    """
    return jnp.max(jnp.abs(eigenvalues(matrix)), axis=-1)


def predicted_rate(game: Game, rest: Players, plan: Plan) -> jax.Array:
    """Factor per step by which a small distance from rest shrinks, or above 1 grows, in the long run.

    ρ(M), M of `linearised_update`.

    Args:
      game: opponents not held. rest: where its gradients are 0. plan: method and step sizes.
    Returns:
      Scalar >= 0.
    Raises:
      ValueError: the plan's name is unknown.
    Source: Bertsekas 1999, "Nonlinear programming", proposition 4.4.1; Mescheder, Nowozin, Geiger 2017.

    >>> from sandbox.gan.bilinear import bilinear_game
    >>> rest = Players(jnp.zeros(1), jnp.zeros(1))
    >>> predicted_rate(bilinear_game(jnp.eye(1)), rest, Plan("simultaneous", Players(0.75, 0.75)))
    Array(1.25, dtype=float32)
    """
    num_generator = ravel_pytree(rest.generator)[0].size
    return spectral_radius(linearised_update(jacobian(game, rest), num_generator, plan))


def method_of(plan: Plan, *, tolerance: float = 1e-5) -> tuple[Method, Players]:
    """What a plan says: a method, and two optimisers that take plain steps.

    Args:
      plan: see Plan. tolerance: of the equations that "competitive" solves.
    Returns:
      Method, Players of optax transformations.
    Raises:
      ValueError: the name is unknown, a step size is not above 0, or what the method refuses.

    >>> method, optimizers = method_of(Plan("consensus", Players(0.1, 0.2)))
    >>> method.mixed, len(optimizers)
    (True, 2)
    """
    makers: dict[str, Callable[[], Method]] = {
        "simultaneous": simultaneous,
        "alternating": lambda: alternating(plan.critic_steps),
        "extra-gradient": extra_gradient,
        "optimistic": simultaneous,
        "consensus": lambda: consensus(plan.consensus_weight),
        "competitive": lambda: competitive(plan.step_sizes, zero_sum=plan.zero_sum, tolerance=tolerance),
    }
    if plan.name not in makers:
        raise ValueError(f"name must be one of {', '.join(LINEARISED)}, got {plan.name!r}")
    for size in plan.step_sizes:
        if is_concrete(size) and not size > 0:
            raise ValueError(f"step_sizes must be above 0, got {size}")
    descent = optax.optimistic_gradient_descent if plan.name == "optimistic" else optax.sgd
    return makers[plan.name](), Players(*(descent(size) for size in plan.step_sizes))


def observed_rate(game: Game, rest: Players, plan: Plan, *, num_steps: int = 8,
                  distance: float | None = None) -> jax.Array:
    """The same from runs of the method itself, nothing being known of its formula.

    ρ(R)^{1/n}: column j of R is what n steps make of a small move from rest, by δ along the j-th number of the whole
    state (both players, and what their optimisers remember), less what they make of one by −δ, over 2 δ.

    All numbers are needed: one run alone would show its rate only after it had turned many times.

    Args:
      game: opponents not held. rest: where its gradients are 0. plan: method and step sizes.
      num_steps: n, at least 1; so few that no rate to that power is near rounding.
      distance: δ; none for the third root of the dtype's rounding, 6e-6 in float64.
    Returns:
      Scalar >= 0.
    Raises:
      ValueError: num_steps is below 1, or the plan is refused by `method_of`.

    >>> from sandbox.gan.bilinear import bilinear_game
    >>> rest = Players(jnp.zeros(1), jnp.zeros(1))
    >>> observed = observed_rate(bilinear_game(jnp.eye(1)), rest, Plan("simultaneous", Players(0.75, 0.75)))
    >>> round(float(observed), 3)
    1.25
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    flat, _ = ravel_pytree(rest)
    eps = float(jnp.finfo(flat.dtype).eps)
    delta = eps ** (1 / 3) if distance is None else distance
    method, optimizers = method_of(plan, tolerance=10 * eps)
    step = game_step(losses_of(game), optimizers, lambda key: None, method=method)
    state = init_game(rest, optimizers, jax.random.key(0))
    # A first update may be special, as of "optimistic": it is made at rest, where it goes nowhere.
    _, opt_states = move_both(optimizers, jax.tree.map(jnp.zeros_like, rest), state.opt_states, rest)
    centre, rebuild = _floating(state._replace(opt_states=opt_states))

    def after(moved: jax.Array) -> jax.Array:
        end, _ = jax.lax.scan(lambda now, _: (step(now)[0], None), rebuild(moved), length=num_steps)
        return _floating(end)[0]

    away = delta * jnp.eye(len(centre), dtype=centre.dtype)
    there, back = jnp.split(jax.vmap(after)(centre[None] + jnp.concatenate([away, -away])), 2)
    return spectral_radius((there - back).T / (2 * delta)) ** (1 / num_steps)


def _floating(state: GameState) -> tuple[jax.Array, Callable[[jax.Array], GameState]]:
    """All real numbers of a state as a vector, and the way back; counts and keys stay as they are."""
    leaves, structure = jax.tree.flatten(state)
    real = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    flat, unravel = ravel_pytree([leaf for leaf, is_real in zip(leaves, real) if is_real])

    def rebuild(numbers: jax.Array) -> Any:
        found = iter(unravel(numbers))
        return jax.tree.unflatten(structure, [next(found) if is_real else leaf for leaf, is_real in zip(leaves, real)])

    return flat, rebuild
