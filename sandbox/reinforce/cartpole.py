"""CartPole-v1: a pole on a cart that is pushed left or right, to be kept upright."""

import math

import jax
import jax.numpy as jnp

from sandbox.reinforce.environment import Discrete, Environment

__all__ = ["CARTPOLE"]

GRAVITY, CART_KG, POLE_KG, HALF_POLE_M = 9.8, 1.0, 0.1, 0.5
FORCE_NEWTON, DT_SECONDS = 10.0, 0.02
MAX_POSITION_M, MAX_ANGLE_RADIANS = 2.4, 12 * 2 * math.pi / 360


def _start(key: jax.Array) -> jax.Array:
    """(position, velocity, angle, angular velocity), each uniform in ±0.05."""
    return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)


def _advance(x: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Euler's step of the equations of motion, by 0.02 s; action 0 pushes left, 1 right, with 10 N.

    Source: Barto, Sutton, Anderson 1983; Florian 2007, "Correct equations for the dynamics of the cart-pole system".
    """
    position, velocity, angle, spin = x
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    force = jnp.where(action == 1, FORCE_NEWTON, -FORCE_NEWTON)
    total, moment = CART_KG + POLE_KG, POLE_KG * HALF_POLE_M
    push = (force + moment * spin**2 * sin) / total
    spin_rate = (GRAVITY * sin - cos * push) / (HALF_POLE_M * (4 / 3 - POLE_KG * cos**2 / total))
    acceleration = push - moment * spin_rate * cos / total
    x = x + DT_SECONDS * jnp.stack([velocity, acceleration, spin, spin_rate])
    fallen = (jnp.abs(x[0]) > MAX_POSITION_M) | (jnp.abs(x[2]) > MAX_ANGLE_RADIANS)
    return x, jnp.ones_like(position), fallen


def _observe(x: jax.Array) -> jax.Array:
    """The state itself: m, m/s, rad, rad/s."""
    return x


CARTPOLE = Environment("CartPole-v1", _start, _advance, _observe, 4, Discrete(2), 500)
