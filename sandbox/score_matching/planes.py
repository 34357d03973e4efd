"""Points of a plane that are hard to tell by a few Gaussians: moons, a checkerboard, a roll."""

import jax
import jax.numpy as jnp

__all__ = ["checkerboard_log_density", "draw_checkerboard", "draw_swiss_roll", "draw_two_moons"]

CELLS, SIDE = 8, 1.0  # dark cells of a 4 x 4 board, and the side of a cell


def draw_two_moons(key: jax.Array, num: int, *, radius: float = 2.0, sigma: float = 0.1) -> jax.Array:
    """Two half circles that reach into each other, blurred.

    r (cos πu, sin πu) ∓ r (1/2, 1/4), of one of them turned by 180°, + σ z.

    Args:
      key: PRNG key. num: N. radius: r, sigma: σ, in one unit.
    Returns:
      (N, 2), of mean 0.

    >>> draw_two_moons(jax.random.key(0), 3).shape
    (3, 2)
    """
    of_angle, of_moon, of_noise = jax.random.split(key, 3)
    angle = jnp.pi * jax.random.uniform(of_angle, (num,))
    moon = jnp.stack([jnp.cos(angle) - 0.5, jnp.sin(angle) - 0.25], axis=1)
    side = jax.random.rademacher(of_moon, (num,), moon.dtype)
    return radius * side[:, None] * moon + sigma * jax.random.normal(of_noise, (num, 2))


def draw_checkerboard(key: jax.Array, num: int) -> jax.Array:
    """Uniform on the dark cells of a 4 x 4 checkerboard in [−2, 2]².

    Args:
      key: PRNG key. num: N.
    Returns:
      (N, 2).

    >>> draw_checkerboard(jax.random.key(0), 3).shape
    (3, 2)
    """
    of_cell, of_place = jax.random.split(key)
    cell = jax.random.randint(of_cell, (num,), 0, CELLS)
    row = cell // 2
    corner = jnp.stack([2 * (cell % 2) + row % 2, row], axis=1) * SIDE - 2 * SIDE
    return corner + SIDE * jax.random.uniform(of_place, (num, 2))


def checkerboard_log_density(x: jax.Array) -> jax.Array:
    """log p of `draw_checkerboard`: −log 8 on dark cells, −∞ elsewhere.

    Args:
      x: (N, 2).
    Returns:
      Nats, (N,).

    >>> checkerboard_log_density(jnp.array([[-1.5, -1.5], [-0.5, -1.5], [9.0, 9.0]]))
    Array([-2.0794415,       -inf,       -inf], dtype=float32)
    """
    cell = jnp.floor(x / SIDE)
    dark = (jnp.sum(cell, axis=1) % 2 == 0) & jnp.all((cell >= -2) & (cell < 2), axis=1)
    return jnp.where(dark, jnp.zeros_like(x[:, 0]) - jnp.log(CELLS * SIDE**2), -jnp.inf)


def draw_swiss_roll(key: jax.Array, num: int, *, sigma: float = 0.1) -> jax.Array:
    """A spiral of one and a half turns, blurred: φ/5 (cos φ, sin φ) + σ z, φ = 3π/2 (1 + 2u).

    Args:
      key: PRNG key. num: N. sigma: σ, in the units of x.
    Returns:
      (N, 2).

    >>> draw_swiss_roll(jax.random.key(0), 3).shape
    (3, 2)
    """
    of_angle, of_noise = jax.random.split(key)
    angle = 1.5 * jnp.pi * (1 + 2 * jax.random.uniform(of_angle, (num,)))
    spiral = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1) * angle[:, None] / 5
    return spiral + sigma * jax.random.normal(of_noise, (num, 2))
