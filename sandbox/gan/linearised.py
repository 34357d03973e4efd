"""What a step of each method does to a small distance from rest: a matrix, made of the Jacobian of the game's field."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.gan.game import Players

__all__ = ["LINEARISED", "Plan", "linearised_update"]


class Plan(NamedTuple):
    """A method with its numbers, for plain gradient steps.

    name: of LINEARISED. step_sizes: η_x, η_y. critic_steps: k of "alternating". consensus_weight: β of "consensus".
    zero_sum: whether "competitive" may take the game for one.
    """

    name: str
    step_sizes: Players
    critic_steps: int = 1
    consensus_weight: float | jax.Array = 0.1
    zero_sum: bool = False


def _simultaneous(J: jax.Array, H: jax.Array, n: int, plan: Plan) -> jax.Array:
    """I + H J."""
    return jnp.eye(len(J), dtype=J.dtype) + H @ J


def _alternating(J: jax.Array, H: jax.Array, n: int, plan: Plan) -> jax.Array:
    """G Cᵏ, of which C moves the discriminator alone, and G the generator."""
    I, moves = jnp.eye(len(J), dtype=J.dtype), H @ J
    generator, critic = I.at[:n].add(moves[:n]), I.at[n:].add(moves[n:])
    return generator @ jnp.linalg.matrix_power(critic, plan.critic_steps)


def _extra_gradient(J: jax.Array, H: jax.Array, n: int, plan: Plan) -> jax.Array:
    """I + H J (I + H J)."""
    I = jnp.eye(len(J), dtype=J.dtype)
    return I + H @ J @ (I + H @ J)


def _optimistic(J: jax.Array, H: jax.Array, n: int, plan: Plan) -> jax.Array:
    """[[I + 2 H J, −H J], [I, 0]], of where it is and where it was."""
    I, moves = jnp.eye(len(J), dtype=J.dtype), H @ J
    return jnp.block([[I + 2 * moves, -moves], [I, jnp.zeros_like(I)]])


def _consensus(J: jax.Array, H: jax.Array, n: int, plan: Plan) -> jax.Array:
    """I + H (J − β Jᵀ J): at rest ½ ‖ξ‖² has no other curvature."""
    return jnp.eye(len(J), dtype=J.dtype) + H @ (J - plan.consensus_weight * J.T @ J)


def _competitive(J: jax.Array, H: jax.Array, n: int, plan: Plan) -> jax.Array:
    """I + (I − H J_mixed)⁻¹ H J, J_mixed the blocks of J off the diagonal."""
    I = jnp.eye(len(J), dtype=J.dtype)
    mixed = J.at[:n, :n].set(0).at[n:, n:].set(0)
    return I + jnp.linalg.solve(I - H @ mixed, H @ J)


LINEARISED: dict[str, Callable[[jax.Array, jax.Array, int, Plan], jax.Array]] = {
    "simultaneous": _simultaneous, "alternating": _alternating, "extra-gradient": _extra_gradient,
    "optimistic": _optimistic, "consensus": _consensus, "competitive": _competitive,
}
"""By name: (J, H, n, plan) to the matrix of a step, H the step sizes on a diagonal, n the generator's numbers."""


def linearised_update(jacobian: jax.Array, num_generator: int, plan: Plan) -> jax.Array:
    """The matrix M of z ← M z + o(‖z‖), z the distance from rest.

    Args:
      jacobian: J of the field there, (d, d), of a game whose opponents are not held. num_generator: how many of its
        rows are the generator's, the first. plan: of plain gradient steps.
    Returns:
      (d, d); (2 d, 2 d) of "optimistic", which goes by where it was, too.
    Raises:
      ValueError: the plan's name is unknown.
    Source: Mescheder, Nowozin, Geiger 2017, "The numerics of GANs"; Gidel et al. 2019, "Negative momentum for improved
      game dynamics", for alternating steps; Daskalakis et al. 2018; Schäfer, Anandkumar 2019.

    >>> turning = jnp.array([[0.0, -1.0], [1.0, 0.0]])
    >>> linearised_update(turning, 1, Plan("alternating", Players(0.5, 0.5)))
    Array([[ 0.75, -0.5 ],
           [ 0.5 ,  1.  ]], dtype=float32)
    """
    if plan.name not in LINEARISED:
        raise ValueError(f"name must be one of {', '.join(LINEARISED)}, got {plan.name!r}")
    eta_x, eta_y = plan.step_sizes
    sizes = jnp.where(jnp.arange(len(jacobian)) < num_generator, eta_x, eta_y).astype(jacobian.dtype)
    return LINEARISED[plan.name](jacobian, jnp.diag(sizes), num_generator, plan)
