"""MountainCarContinuous-v0: a car in a valley, too weak to climb out of it without taking a run."""

import jax
import jax.numpy as jnp

from sandbox.reinforce.environment import Box, Environment

__all__ = ["MOUNTAIN_CAR"]

MIN_POSITION, MAX_POSITION, GOAL, MAX_SPEED = -1.2, 0.6, 0.45, 0.07
POWER, GRAVITY = 0.0015, 0.0025


def _start(key: jax.Array) -> jax.Array:
    """(position, velocity): position uniform in −0.6 to −0.4, at rest."""
    position = jax.random.uniform(key, minval=-0.6, maxval=-0.4)
    return jnp.stack([position, jnp.zeros_like(position)])


def _advance(x: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One step under a force (1,), clipped to ±1; −a²/10 for the action as it was asked for, 100 at the flag.

    Source: Moore 1990, with a continuous force.
    """
    position, velocity = x
    force = jnp.clip(action[0], -1.0, 1.0)
    velocity = jnp.clip(velocity + force * POWER - GRAVITY * jnp.cos(3 * position), -MAX_SPEED, MAX_SPEED)
    position = jnp.clip(position + velocity, MIN_POSITION, MAX_POSITION)
    velocity = jnp.where((position == MIN_POSITION) & (velocity < 0), 0, velocity)
    there = (position >= GOAL) & (velocity >= 0)
    return jnp.stack([position, velocity]), jnp.where(there, 100.0, 0.0) - 0.1 * action[0] ** 2, there


def _observe(x: jax.Array) -> jax.Array:
    """The state itself."""
    return x


MOUNTAIN_CAR = Environment("MountainCarContinuous-v0", _start, _advance, _observe, 2, Box((-1.0,), (1.0,)), 999)
