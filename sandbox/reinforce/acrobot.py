"""Acrobot-v1: two links, of which only the joint between them has a motor, to be swung up."""

import jax
import jax.numpy as jnp

from sandbox.reinforce.environment import Discrete, Environment

__all__ = ["ACROBOT"]

GRAVITY, MASS_KG, LENGTH_M, CENTRE_M, INERTIA = 9.8, 1.0, 1.0, 0.5, 1.0  # of each link
DT_SECONDS, MAX_SPINS = 0.2, (4 * jnp.pi, 9 * jnp.pi)


def _start(key: jax.Array) -> jax.Array:
    """(θ₁, θ₂, θ̇₁, θ̇₂), each uniform in ±0.1; hanging at 0, θ₂ relative to the first link."""
    return jax.random.uniform(key, (4,), minval=-0.1, maxval=0.1)


def _advance(x: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One step of 0.2 s by Runge and Kutta's fourth order, with a torque of action − 1 newton metres; −1 a step until
    the tip is a link's length above the hinge."""
    torque = action.astype(x.dtype) - 1
    k1 = _motion(x, torque)
    k2 = _motion(x + DT_SECONDS / 2 * k1, torque)
    k3 = _motion(x + DT_SECONDS / 2 * k2, torque)
    k4 = _motion(x + DT_SECONDS * k3, torque)
    angle_1, angle_2, spin_1, spin_2 = x + DT_SECONDS / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    angle_1, angle_2 = _wrapped(angle_1), _wrapped(angle_2)
    spin_1, spin_2 = (jnp.clip(spin, -most, most) for spin, most in zip((spin_1, spin_2), MAX_SPINS))
    up = -jnp.cos(angle_1) - jnp.cos(angle_1 + angle_2) > 1
    return jnp.stack([angle_1, angle_2, spin_1, spin_2]), jnp.where(up, 0.0, -1.0).astype(x.dtype), up


def _motion(x: jax.Array, torque: jax.Array) -> jax.Array:
    """ẋ, by the equations of Sutton and Barto's book.

    Source: Sutton, Barto 1998, section 11.3; Sutton 1996, "Generalization in reinforcement learning".
    """
    angle_1, angle_2, spin_1, spin_2 = x
    sin_2, cos_2 = jnp.sin(angle_2), jnp.cos(angle_2)
    coupling = MASS_KG * LENGTH_M * CENTRE_M
    own = MASS_KG * CENTRE_M**2 + INERTIA
    d1 = own + own + MASS_KG * LENGTH_M**2 + 2 * coupling * cos_2
    d2 = own + coupling * cos_2
    weight_2 = MASS_KG * CENTRE_M * GRAVITY * jnp.sin(angle_1 + angle_2)
    weight_1 = (MASS_KG * CENTRE_M + MASS_KG * LENGTH_M) * GRAVITY * jnp.sin(angle_1)
    phi_1 = -coupling * spin_2 * (spin_2 + 2 * spin_1) * sin_2 + weight_1 + weight_2
    spin_rate_2 = (torque + d2 / d1 * phi_1 - coupling * spin_1**2 * sin_2 - weight_2) / (own - d2**2 / d1)
    return jnp.stack([spin_1, spin_2, -(d2 * spin_rate_2 + phi_1) / d1, spin_rate_2])


def _observe(x: jax.Array) -> jax.Array:
    """(cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁, θ̇₂)."""
    return jnp.stack([jnp.cos(x[0]), jnp.sin(x[0]), jnp.cos(x[1]), jnp.sin(x[1]), x[2], x[3]])


def _wrapped(angle: jax.Array) -> jax.Array:
    """The same angle in [−π, π]."""
    return jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi


ACROBOT = Environment("Acrobot-v1", _start, _advance, _observe, 6, Discrete(3), 500)
