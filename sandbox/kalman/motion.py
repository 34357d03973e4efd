"""How things move: the state after a time, and a factor of the noise that came in meanwhile.

Noise is white and continuous in time. Two short steps add what one long one does: exactly for constant velocity,
elsewhere to leading order in the time, for what a turn does to the position meanwhile is left out.
"""

import jax
import jax.numpy as jnp

__all__ = [
    "constant_turn", "constant_turn_noise", "constant_velocity", "constant_velocity_noise", "unicycle",
    "unicycle_noise",
]


def constant_velocity(state: jax.Array, dt_seconds: jax.Array) -> jax.Array:
    """p ← p + v Δt, on as many axes as there are.

    Args:
      state: (2 d,) position m on d axes, then velocity m/s. dt_seconds: ().
    Returns:
      (2 d,).

    >>> constant_velocity(jnp.array([0.0, 1.0, 2.0, 3.0]), 0.5)
    Array([1. , 2.5, 2. , 3. ], dtype=float32)
    """
    position, velocity = jnp.split(state, 2)
    return jnp.concatenate([position + velocity * dt_seconds, velocity])


def constant_velocity_noise(dt_seconds: jax.Array, acceleration_density: jax.Array, num_axes: int = 2) -> jax.Array:
    """A factor of q [[Δt³/3, Δt²/2], [Δt²/2, Δt]] on each axis: white acceleration, integrated twice.

    Args:
      dt_seconds: (). acceleration_density: √q, m/s² per √Hz. num_axes: d.
    Returns:
      (2 d, 2 d), in m and m/s.
    Source: Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2.

    >>> G = constant_velocity_noise(2.0, 1.0, num_axes=1)
    >>> np.asarray((G @ G.T)).round(3)
    array([[2.667, 2.   ],
           [2.   , 2.   ]], dtype=float32)
    """
    pair = _integrated_noise(dt_seconds, acceleration_density)
    return jnp.kron(pair, jnp.eye(num_axes, dtype=pair.dtype))


def constant_turn(state: jax.Array, dt_seconds: jax.Array) -> jax.Array:
    """Constant turn rate and velocity: along the chord of an arc, whose length is v Δt sinc(ω Δt / 2).

    p ← p + v Δt sinc(ω Δt/2) (cos, sin)(ψ + ω Δt/2),  ψ ← ψ + ω Δt;  exact, and as smooth at ω = 0 as elsewhere.

    Args:
      state: (5,) x m, y m, speed m/s, heading rad, turn rate rad/s. dt_seconds: ().
    Returns:
      (5,); the heading is not wrapped.

    >>> constant_turn(jnp.array([0.0, 0.0, 2.0, 0.0, 0.0]), 0.5)
    Array([1., 0., 2., 0., 0.], dtype=float32)
    """
    x, y, speed, heading, turn_rate = state
    dx, dy = _arc(speed, heading, turn_rate, dt_seconds)
    return jnp.stack([x + dx, y + dy, speed, heading + turn_rate * dt_seconds, turn_rate])


def constant_turn_noise(state: jax.Array, dt_seconds: jax.Array, acceleration_density: jax.Array,
                        turn_acceleration_density: jax.Array) -> jax.Array:
    """A factor of the noise of `constant_turn`: white acceleration along the heading, white turn acceleration.

    Args:
      state: (5,) at the beginning. dt_seconds: ().
      acceleration_density: m/s² per √Hz. turn_acceleration_density: rad/s² per √Hz.
    Returns:
      (5, 4), in the units of the state.

    >>> constant_turn_noise(jnp.array([0.0, 0.0, 2.0, 0.0, 0.0]), 1.0, 1.0, 0.5)[2:, 1:]
    Array([[0.5       , 0.        , 0.        ],
           [0.        , 0.28867513, 0.        ],
           [0.        , 0.4330127 , 0.25      ]], dtype=float32)
    """
    direction = state[3] + state[4] * dt_seconds / 2
    along = _integrated_noise(dt_seconds, acceleration_density)
    turning = _integrated_noise(dt_seconds, turn_acceleration_density)
    zero = jnp.zeros(2, along.dtype)
    return jnp.stack([
        jnp.concatenate([jnp.cos(direction) * along[0], zero]),
        jnp.concatenate([jnp.sin(direction) * along[0], zero]),
        jnp.concatenate([along[1], zero]),
        jnp.concatenate([zero, turning[0]]),
        jnp.concatenate([zero, turning[1]])])


def unicycle(state: jax.Array, control: jax.Array, dt_seconds: jax.Array) -> jax.Array:
    """Driven by odometry: the arc of a given speed and turn rate.

    Args:
      state: (3,) x m, y m, heading rad. control: (2,) speed m/s, turn rate rad/s. dt_seconds: ().
    Returns:
      (3,); the heading is not wrapped.

    >>> unicycle(jnp.zeros(3), jnp.array([1.0, 0.0]), 2.0)
    Array([2., 0., 0.], dtype=float32)
    """
    x, y, heading = state
    speed, turn_rate = control
    dx, dy = _arc(speed, heading, turn_rate, dt_seconds)
    return jnp.stack([x + dx, y + dy, heading + turn_rate * dt_seconds])


def unicycle_noise(state: jax.Array, control: jax.Array, dt_seconds: jax.Array, speed_density: jax.Array,
                   turn_density: jax.Array, drift_density: jax.Array) -> jax.Array:
    """A factor of the noise of `unicycle`: white speed, white turn rate, and white drift to either side.

    Args:
      state: (3,) at the beginning. control: (2,). dt_seconds: ().
      speed_density, drift_density: m per √s. turn_density: rad per √s.
    Returns:
      (3, 3), in the units of the state.

    >>> unicycle_noise(jnp.zeros(3), jnp.zeros(2), 4.0, 1.0, 0.5, 0.25)
    Array([[ 2. , -0. ,  0. ],
           [ 0. ,  0.5,  0. ],
           [ 0. ,  0. ,  1. ]], dtype=float32)
    """
    direction = state[2] + control[1] * dt_seconds / 2
    cos, sin, zero = jnp.cos(direction), jnp.sin(direction), jnp.zeros_like(direction)
    scale = jnp.sqrt(dt_seconds)
    return scale * jnp.stack([
        jnp.stack([speed_density * cos, -drift_density * sin, zero]),
        jnp.stack([speed_density * sin, drift_density * cos, zero]),
        jnp.stack([zero, zero, turn_density + zero])])


def _arc(speed, heading, turn_rate, dt_seconds):
    half = turn_rate * dt_seconds / 2
    chord = speed * dt_seconds * _sinc(half)
    return chord * jnp.cos(heading + half), chord * jnp.sin(heading + half)


def _sinc(x):
    """sin(x) / x; within ±½ by its series, whose derivatives keep the digits that those of the quotient lose."""
    square, series = x**2, jnp.zeros_like(x)
    for k in range(7, 0, -1):
        series = -square / (2 * k * (2 * k + 1)) * (1 + series)
    near = jnp.abs(x) < 0.5
    safe = jnp.where(near, 1, x)
    return jnp.where(near, 1 + series, jnp.sin(safe) / safe)


def _integrated_noise(dt_seconds, density) -> jax.Array:
    """A triangular factor of q [[Δt³/3, Δt²/2], [Δt²/2, Δt]]."""
    root = density * jnp.sqrt(jnp.asarray(dt_seconds))
    zero = jnp.zeros_like(root)
    return jnp.stack([jnp.stack([root * dt_seconds / 3**0.5, zero]), jnp.stack([root * 3**0.5 / 2, root / 2])])
