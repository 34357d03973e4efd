"""What sensors see of a state, defined and differentiable everywhere, range zero included."""

import jax
import jax.numpy as jnp

__all__ = ["beacon_range", "position", "range_bearing_rate", "wrap_angle"]


def wrap_angle(angle_rad: jax.Array) -> jax.Array:
    """The same angle in [−π, π].

    >>> wrap_angle(jnp.array([0.0, 7.0]))
    Array([0.       , 0.7168145], dtype=float32)
    """
    return angle_rad - 2 * jnp.pi * jnp.round(angle_rad / (2 * jnp.pi))


def position(state: jax.Array) -> jax.Array:
    """A lidar: x and y as they are.

    Args:
      state: (n,) whose first two components are x and y, m.
    Returns:
      (2,) m.

    >>> position(jnp.array([1.0, 2.0, 3.0]))
    Array([1., 2.], dtype=float32)
    """
    return state[:2]


def range_bearing_rate(offset: jax.Array, velocity: jax.Array) -> jax.Array:
    """A radar: ρ = |p|, φ = atan2(y, x), ρ̇ = p·v / ρ.

    At ρ = 0 all three are 0, and so are their derivatives: there a radar tells nothing.

    Args:
      offset: (2,) from radar to object, m. velocity: (2,) of the object relative to the radar, m/s.
    Returns:
      (3,) range m, bearing rad in [−π, π], range rate m/s.

    >>> range_bearing_rate(jnp.array([3.0, 4.0]), jnp.array([5.0, 0.0]))
    Array([5.       , 0.9272952, 3.       ], dtype=float32)
    """
    squared = jnp.sum(offset**2)
    there = squared > 0
    x, y = jnp.where(there, offset, jnp.ones_like(offset))
    distance = jnp.sqrt(jnp.where(there, squared, 1))
    rate = (x * velocity[0] + y * velocity[1]) / distance
    return jnp.where(there, jnp.stack([distance, jnp.arctan2(y, x), rate]), 0)


def beacon_range(offset: jax.Array, scale: jax.Array, bias_m: jax.Array) -> jax.Array:
    """A range to a beacon, as a radio that is not calibrated reads it: scale · |p| + bias.

    At |p| = 0 the derivative is 0.

    Args:
      offset: (2,) from beacon to object, m. scale: (), dimensionless. bias_m: (), m.
    Returns:
      () m.

    >>> beacon_range(jnp.array([3.0, 4.0]), 1.1, 0.5)
    Array(6., dtype=float32)
    """
    squared = jnp.sum(offset**2)
    distance = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
    return scale * distance + bias_m
