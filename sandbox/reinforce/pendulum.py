"""Pendulum-v1: a pendulum whose motor is too weak to lift it in one go, to be swung up and held."""

import jax
import jax.numpy as jnp

from sandbox.reinforce.environment import Box, Environment

__all__ = ["PENDULUM"]

GRAVITY, MASS_KG, LENGTH_M, DT_SECONDS = 10.0, 1.0, 1.0, 0.05
MAX_TORQUE, MAX_SPIN = 2.0, 8.0


def _start(key: jax.Array) -> jax.Array:
    """(θ, θ̇): θ uniform in ±π, upright at 0, θ̇ in ±1."""
    return jnp.array([jnp.pi, 1.0]) * jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)


def _advance(x: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One step of 0.05 s under a torque in newton metres, (1,), clipped to ±2; reward −(θ² + θ̇²/10 + u²/1000)."""
    angle, spin = x
    torque = jnp.clip(action[0], -MAX_TORQUE, MAX_TORQUE)
    off = jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi
    reward = -(off**2 + 0.1 * spin**2 + 0.001 * torque**2)
    push = 3 * GRAVITY / (2 * LENGTH_M) * jnp.sin(angle) + 3 / (MASS_KG * LENGTH_M**2) * torque
    spin = jnp.clip(spin + DT_SECONDS * push, -MAX_SPIN, MAX_SPIN)
    return jnp.stack([angle + DT_SECONDS * spin, spin]), reward, jnp.zeros((), bool)


def _observe(x: jax.Array) -> jax.Array:
    """(cos θ, sin θ, θ̇)."""
    return jnp.stack([jnp.cos(x[0]), jnp.sin(x[0]), x[1]])


PENDULUM = Environment("Pendulum-v1", _start, _advance, _observe, 3, Box((-MAX_TORQUE,), (MAX_TORQUE,)), 200)
