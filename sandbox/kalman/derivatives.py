"""By hand: the Jacobians of motions and sensors that are not linear already, and of constant velocity; the gradient
of one innovation; Fisher's identity for a whole track; and the steady states that are known in closed form."""

import jax
import jax.numpy as jnp

from sandbox.kalman.covariance import smoother_gain
from sandbox.kalman.filter import Filtered
from sandbox.kalman.linearise import Observation, Transition
from sandbox.kalman.model import Gaussian
from sandbox.kalman.small import congruence, inverse, product, solve
from sandbox.kalman.smoother import Smoothed
from sandbox.kalman.track import rows_before

__all__ = [
    "alpha_beta",
    "beacon_range_jacobian",
    "constant_turn_jacobian",
    "constant_velocity_jacobian",
    "fisher_score",
    "innovation_grad",
    "random_walk_variance",
    "range_bearing_rate_jacobian",
    "unicycle_jacobian",
]


def constant_velocity_jacobian(dt_seconds: jax.Array, num_axes: int = 2) -> jax.Array:
    """∂f/∂x of `motion.constant_velocity`: [[I, Δt I], [0, I]].

    Args:
      dt_seconds: (). num_axes: d.
    Returns:
      (2 d, 2 d).

    >>> constant_velocity_jacobian(jnp.array(0.5), 1)
    Array([[1. , 0.5],
           [0. , 1. ]], dtype=float32)
    """
    dt_seconds = jnp.asarray(dt_seconds, float)
    identity = jnp.eye(num_axes, dtype=dt_seconds.dtype)
    return jnp.block([[identity, dt_seconds * identity], [0 * identity, identity]])


def constant_turn_jacobian(state: jax.Array, dt_seconds: jax.Array) -> jax.Array:
    """∂f/∂x of `motion.constant_turn`, with c = v Δt sinc(ω Δt/2), its chord, and θ = ψ + ω Δt/2, its direction.

    ∂p/∂v = c/v (cos θ, sin θ);   ∂p/∂ψ = c (−sin θ, cos θ);
    ∂p/∂ω = ∂c/∂ω (cos θ, sin θ) + c Δt/2 (−sin θ, cos θ),   ∂c/∂ω = v Δt²/2 sinc'(ω Δt/2).

    Args:
      state: (5,). dt_seconds: ().
    Returns:
      (5, 5).

    >>> constant_turn_jacobian(jnp.array([0.0, 0.0, 2.0, 0.0, 0.0]), jnp.array(0.5))[1]
    Array([0.  , 1.  , 0.  , 1.  , 0.25], dtype=float32)
    """
    _, _, speed, heading, turn_rate = state
    along, across, chord, slope = _arc(speed, heading, turn_rate, dt_seconds)
    zero, one = jnp.zeros_like(speed), jnp.ones_like(speed)
    by_turn = slope * along + chord * dt_seconds / 2 * across
    by_speed = dt_seconds * _sinc(turn_rate * dt_seconds / 2)[0] * along
    rows = [[one, zero, by_speed[0], chord * across[0], by_turn[0]],
            [zero, one, by_speed[1], chord * across[1], by_turn[1]],
            [zero, zero, one, zero, zero],
            [zero, zero, zero, one, dt_seconds],
            [zero, zero, zero, zero, one]]
    return jnp.stack([jnp.stack(row) for row in rows])


def unicycle_jacobian(state: jax.Array, control: jax.Array, dt_seconds: jax.Array) -> jax.Array:
    """∂f/∂x of `motion.unicycle`: the chord, turned a quarter, in the column of the heading.

    Args:
      state: (3,). control: (2,). dt_seconds: ().
    Returns:
      (3, 3).

    >>> unicycle_jacobian(jnp.zeros(3), jnp.array([1.0, 0.0]), jnp.array(2.0))
    Array([[ 1.,  0., -0.],
           [ 0.,  1.,  2.],
           [ 0.,  0.,  1.]], dtype=float32)
    """
    _, across, chord, _ = _arc(control[0], state[2], control[1], dt_seconds)
    return jnp.eye(3, dtype=state.dtype).at[:2, 2].set(chord * across)


def range_bearing_rate_jacobian(offset: jax.Array, velocity: jax.Array) -> jax.Array:
    """∂(ρ, φ, ρ̇)/∂(p, v) of `sensors.range_bearing_rate`, with n = p/ρ and n⊥ = (−y, x)/ρ:

    ρ: (n, 0);   φ: (n⊥/ρ, 0);   ρ̇: ((v·n⊥) n⊥/ρ, n).

    Args:
      offset: (2,), not zero. velocity: (2,).
    Returns:
      (3, 4).

    >>> range_bearing_rate_jacobian(jnp.array([2.0, 0.0]), jnp.array([1.0, 3.0]))
    Array([[ 1. ,  0. ,  0. ,  0. ],
           [-0. ,  0.5,  0. ,  0. ],
           [-0. ,  1.5,  1. ,  0. ]], dtype=float32)
    """
    distance = jnp.sqrt(jnp.sum(offset**2))
    n = offset / distance
    across = jnp.stack([-n[1], n[0]])
    zero = jnp.zeros_like(n)
    return jnp.stack([jnp.concatenate([n, zero]), jnp.concatenate([across / distance, zero]),
                      jnp.concatenate([jnp.sum(velocity * across) * across / distance, n])])


def beacon_range_jacobian(offset: jax.Array, scale: jax.Array) -> jax.Array:
    """∂z/∂(p, scale, bias) of `sensors.beacon_range`: (scale n, |p|, 1), n = p/|p|.

    Args:
      offset: (2,), not zero. scale: ().
    Returns:
      (4,).

    >>> beacon_range_jacobian(jnp.array([3.0, 4.0]), jnp.array(2.0))
    Array([1.2, 1.6, 5. , 1. ], dtype=float32)
    """
    distance = jnp.sqrt(jnp.sum(offset**2))
    return jnp.concatenate([scale * offset / distance, jnp.stack([distance, jnp.ones_like(distance)])])


def innovation_grad(residual: jax.Array, S: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gradient of one step's −log N(r; 0, S): with a = S⁻¹ r,  ∂/∂r = a,  ∂/∂S = ½ (S⁻¹ − a aᵀ).

    The sign says it all: S wants to grow where r rᵀ is larger than S, and to shrink where it is smaller.

    Args:
      residual: (M,). S: (M, M) symmetric positive definite.
    Returns:
      (M,) and (M, M).

    >>> innovation_grad(jnp.array([2.0]), jnp.array([[4.0]]))
    (Array([0.5], dtype=float32), Array([[0.]], dtype=float32))
    """
    precision = inverse(S)
    a = product(precision, residual)
    return a, (precision - a[:, None] * a[None, :]) / 2


def fisher_score(filtered: Filtered, smoothed: Smoothed, transitions: Transition, observations: Observation
                 ) -> tuple[jax.Array, jax.Array]:
    """Gradient of −log p(z_1..z_T) of a linear model in the logarithms of its noise scales, by the smoother.

    Scaling G by e^a and N by e^b:   ∂/∂a = Σ_k tr(I − G⁻¹ E[w wᵀ] G⁻ᵀ),   ∂/∂b = Σ_k tr(I − N⁻¹ E[ν νᵀ] N⁻ᵀ),

    w = x_k − f(x_{k−1}) and ν = z_k − h(x_k), their second moments those of the smoothed states. No filter is
    differentiated: the gradient of the likelihood is the expected gradient of the complete likelihood.

    Args:
      filtered, smoothed: covariance form, of the linear model given by transitions and observations, whose
        G and N are square and invertible; everything is measured.
    Returns:
      (), (): ∂/∂a and ∂/∂b, nats.
    Source: Fisher 1925; Segal, Weinstein 1989; Särkkä, Svensson 2023, chapter 16.

    >>> from sandbox.kalman.filter import kalman_filter
    >>> from sandbox.kalman.linearise import Noise
    >>> from sandbox.kalman.model import Factored
    >>> from sandbox.kalman.smoother import rts_smoother
    >>> row = jnp.ones((1, 1))
    >>> one = row[None]
    >>> motion, seen = Transition(row, row, one, one), Observation(row, row, one, Noise(one, one, row > 0))
    >>> filtered = kalman_filter(Factored(row[0], one[0]), motion, seen)
    >>> [round(float(part), 3) for part in fisher_score(filtered, rts_smoother(filtered, motion), motion, seen)]
    [0.222, 0.222]
    """
    before = rows_before((filtered.start, smoothed.start), (filtered.updated, smoothed.rows))

    def motion(pair: tuple[Gaussian, Gaussian], after: Gaussian, transition: Transition):
        belief, earlier = pair
        point, value, F, G = transition
        E, _ = smoother_gain(belief, transition)
        cross = product(product(F, E), after.covariance)  # F Cov(x_{k−1}, x_k | z)
        spread = after.covariance - cross - cross.T + congruence(F, earlier.covariance)
        return _missing_trace(G, spread, after.mean - value - product(F, earlier.mean - point))

    def measurement(belief: Gaussian, observation: Observation):
        point, residual, H, noise = observation
        mean = residual - product(H, belief.mean - point)
        return _missing_trace(noise.factor, congruence(H, belief.covariance), mean)

    return (jnp.sum(jax.vmap(motion)(before, smoothed.rows, transitions)),
            jnp.sum(jax.vmap(measurement)(smoothed.rows, observations)))


def random_walk_variance(q: jax.Array, r: jax.Array) -> jax.Array:
    """Steady state of x ← x + N(0, q), z = x + N(0, r): P before a measurement solves P² = q P + q r.

    P = (q + √(q² + 4 q r)) / 2.

    Args:
      q, r: () variances > 0.
    Returns:
      ().
    Source: Harvey 1989, section 3.3.

    >>> random_walk_variance(*jnp.array([1.0, 2.0]))
    Array(2., dtype=float32)
    """
    return (q + jnp.sqrt(q**2 + 4 * q * r)) / 2


def alpha_beta(dt_seconds: jax.Array, acceleration_std: jax.Array, position_std: jax.Array) -> jax.Array:
    """Steady gain (α, β/Δt) of position and velocity, when an acceleration is drawn anew in every interval.

    With the tracking index λ = σ_a Δt² / σ_z and r = (4 + λ − √(8 λ + λ²)) / 4:   α = 1 − r²,
    β = 2 (2 − α) − 4 √(1 − α).   G = (Δt²/2, Δt) σ_a, N = σ_z.

    Args:
      dt_seconds: (). acceleration_std: σ_a, m/s². position_std: σ_z, m.
    Returns:
      (2,): dimensionless, 1/s.
    Source: Kalata 1984, "The tracking index".

    >>> alpha_beta(*jnp.ones(3))
    Array([0.75, 0.5 ], dtype=float32)
    """
    index = acceleration_std * dt_seconds**2 / position_std
    r = (4 + index - jnp.sqrt(8 * index + index**2)) / 4
    alpha = 1 - r**2
    return jnp.stack([alpha, (2 * (2 - alpha) - 4 * r) / dt_seconds])


def _arc(speed, heading, turn_rate, dt_seconds):
    """Unit vectors along and across a chord, the chord's length, and its derivative by the turn rate."""
    half = turn_rate * dt_seconds / 2
    direction = heading + half
    sinc, slope = _sinc(half)
    along = jnp.stack([jnp.cos(direction), jnp.sin(direction)])
    across = jnp.stack([-along[1], along[0]])
    return along, across, speed * dt_seconds * sinc, speed * dt_seconds**2 / 2 * slope


def _sinc(x):
    """sin(x)/x and its derivative (x cos x − sin x)/x²; near 0 by series, where the quotient loses its digits."""
    small = jnp.abs(x) < 0.05
    safe = jnp.where(small, 1, x)
    series = 1 - x**2 / 6 + x**4 / 120 - x**6 / 5040, -x / 3 + x**3 / 30 - x**5 / 840 + x**7 / 45360
    exact = jnp.sin(safe) / safe, (safe * jnp.cos(safe) - jnp.sin(safe)) / safe**2
    return tuple(jnp.where(small, *pair) for pair in zip(series, exact))


def _missing_trace(factor: jax.Array, covariance: jax.Array, mean: jax.Array) -> jax.Array:
    """tr(I − factor⁻¹ E[w wᵀ] factor⁻ᵀ) for w ~ N(mean, covariance)."""
    half = solve(factor, covariance + mean[:, None] * mean[None, :])
    return len(factor) - jnp.trace(solve(factor, half.T))
