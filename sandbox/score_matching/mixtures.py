"""Mixtures of Gaussians: data whose density, score and denoiser are known in closed form at every level of noise."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching.processes import per_row

__all__ = [
    "GaussianMixture", "draw_mixture", "gaussian_mixture", "mixture_denoised", "mixture_log_density", "mixture_score",
    "noised", "ring_mixture",
]


class GaussianMixture(NamedTuple):
    """p(x) = Σ_k w_k N(x; μ_k, U_k diag(v_k) U_kᵀ).

    weights: w, (K,), sum 1. means: μ, (K, D). axes: U, (K, D, D), orthonormal columns. variances: v, (K, D), along the
    axes, so that noise of level σ adds σ² to each and nothing need be factorised again.
    """

    weights: np.ndarray | jax.Array
    means: np.ndarray | jax.Array
    axes: np.ndarray | jax.Array
    variances: np.ndarray | jax.Array


def gaussian_mixture(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> GaussianMixture:
    """A mixture from its covariances, which are factorised here, on the host.

    Args:
      weights: (K,), at least 0, sum 1. means: (K, D). covariances: (K, D, D), symmetric, positive definite.
    Returns:
      GaussianMixture of NumPy arrays.
    Raises:
      ValueError: the shapes are not (K,), (K, D), (K, D, D).
      ValueError: a weight is below 0, or the weights do not sum to 1.
      ValueError: means or covariances are not finite.
      ValueError: a covariance is not symmetric.
      ValueError: a covariance is not positive definite: data of zero variance.

    >>> gaussian_mixture(np.ones(1), np.zeros((1, 2)), np.diag([1.0, 4.0])[None]).variances.tolist()
    [[1.0, 4.0]]
    """
    weights, means, covariances = (np.asarray(given, float) for given in (weights, means, covariances))
    if means.ndim != 2 or weights.shape != means.shape[:1] or covariances.shape != (*means.shape, means.shape[1]):
        raise ValueError("weights, means and covariances must be (K,), (K, D) and (K, D, D), got "
                         f"{weights.shape}, {means.shape} and {covariances.shape}")
    if not (np.all(weights >= 0) and abs(np.sum(weights) - 1) <= 1e-6):
        raise ValueError(f"weights must be at least 0 and sum to 1, got {weights.tolist()}")
    if not (np.all(np.isfinite(means)) and np.all(np.isfinite(covariances))):
        raise ValueError("means and covariances must be finite")
    scale = np.max(np.abs(covariances), initial=0)
    if not np.allclose(covariances, np.swapaxes(covariances, 1, 2), rtol=0, atol=1e-6 * scale):
        raise ValueError("covariances must be symmetric")
    variances, axes = np.linalg.eigh((covariances + np.swapaxes(covariances, 1, 2)) / 2)
    if not np.all(variances > 1e-12 * scale):
        raise ValueError("covariances must be positive definite, got data of zero variance: least variance "
                         f"{np.min(variances):g}")
    return GaussianMixture(weights / np.sum(weights), means, axes, variances)


def ring_mixture(modes: int = 8, radius: float = 4.0, sigma: float = 0.5) -> GaussianMixture:
    """Equal round Gaussians with means evenly on a circle about 0.

    μ_k = r (cos 2πk/K, sin 2πk/K).

    Args:
      modes: K, at least 1. radius: r, sigma: standard deviation of each, above 0, in one unit.
    Raises:
      ValueError: modes is below 1.
      ValueError: sigma is not above 0.

    >>> ring_mixture(4, radius=1.0).means.round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-0.0, -1.0]]
    """
    if modes < 1:
        raise ValueError(f"modes must be at least 1, got {modes}")
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, got {sigma}: data of zero variance have no density")
    angles = 2 * np.pi * np.arange(modes) / modes
    means = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return gaussian_mixture(np.full(modes, 1 / modes), means, np.broadcast_to(sigma**2 * np.eye(2), (modes, 2, 2)))


def noised(mixture: GaussianMixture, sigma: jax.Array | float, alpha: jax.Array | float = 1.0) -> GaussianMixture:
    """The mixture of α x + σ ε: means α μ, variances α² v + σ².

    Args:
      mixture: of x. sigma, alpha: one number each.
    Returns:
      GaussianMixture.

    >>> float(noised(ring_mixture(1), 1.0, alpha=2.0).variances[0, 0])
    2.0
    """
    return mixture._replace(means=alpha * mixture.means, variances=alpha**2 * mixture.variances + sigma**2)


def mixture_log_density(x: jax.Array, mixture: GaussianMixture) -> jax.Array:
    """log p(x).

    Args:
      x: (N, D). mixture: of the same D.
    Returns:
      Nats, (N,).
    Raises:
      ValueError: x is not (N, D).

    >>> mixture_log_density(jnp.zeros((1, 2)), ring_mixture(1, radius=0.0, sigma=1.0))  # −log 2π
    Array([-1.837877], dtype=float32)
    """
    return jax.nn.logsumexp(_seen_from(x, 0.0, mixture)[0], axis=1)


def mixture_score(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture) -> jax.Array:
    """∇ log p_σ(x), p_σ the density of the mixture with noise of level σ.

    s = −Σ_k r_k U_k diag(1 / (v_k + σ²)) U_kᵀ (x − μ_k),   r_k ∝ w_k N(x; μ_k, U_k diag(v_k + σ²) U_kᵀ).

    Args:
      x: (N, D). level: σ at least 0, (N,), or one for all. mixture: of the same D.
    Returns:
      (N, D), in 1 / units of x.
    Raises:
      ValueError: x is not (N, D).

    >>> mixture_score(jnp.ones((1, 2)), jnp.ones(1), ring_mixture(1, radius=0.0, sigma=1.0))
    Array([[-0.5, -0.5]], dtype=float32)
    """
    log_joint, along, variances = _seen_from(x, level, mixture)
    return -_mean_over_modes(log_joint, _back(along / variances, mixture))


def mixture_denoised(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture) -> jax.Array:
    """E[x₀ | x₀ + σ ε = x], x₀ of the mixture: each Gaussian's posterior mean, by what each is responsible for.

    D = Σ_k r_k (μ_k + U_k diag(v_k / (v_k + σ²)) U_kᵀ (x − μ_k)),   r_k as of `mixture_score`.

    Args:
      x: (N, D). level: σ at least 0, (N,), or one for all. mixture: of the same D.
    Returns:
      (N, D), in the units of x.
    Raises:
      ValueError: x is not (N, D).

    >>> mixture_denoised(jnp.ones((1, 2)), jnp.ones(1), ring_mixture(1, radius=0.0, sigma=1.0))
    Array([[0.5, 0.5]], dtype=float32)
    """
    log_joint, along, variances = _seen_from(x, level, mixture)
    shrunk = _back(jnp.asarray(mixture.variances, x.dtype)[None] / variances * along, mixture)
    return _mean_over_modes(log_joint, jnp.asarray(mixture.means, x.dtype)[None] + shrunk)


def draw_mixture(key: jax.Array, mixture: GaussianMixture, num: int) -> jax.Array:
    """Independent samples, (num, D).

    >>> draw_mixture(jax.random.key(0), ring_mixture(), 3).shape
    (3, 2)
    """
    of_mode, of_noise = jax.random.split(key)
    modes = jax.random.categorical(of_mode, jnp.log(jnp.asarray(mixture.weights)), shape=(num,))
    means, axes, variances = (jnp.asarray(field)[modes] for field in mixture[1:])
    z = jnp.sqrt(variances) * jax.random.normal(of_noise, means.shape, means.dtype)
    return means + jnp.einsum("nde,ne->nd", axes, z, precision="highest")


def _seen_from(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture
               ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """log w_k N(x; ...), (N, K); U_kᵀ (x − μ_k) and v_k + σ², (N, K, D) or, at one level for all, (1, K, D)."""
    if x.ndim != 2 or x.shape[1] != mixture.means.shape[1]:
        raise ValueError(f"x must be (N, {mixture.means.shape[1]}), got {x.shape}")
    weights, means, axes, variances = (jnp.asarray(field, x.dtype) for field in mixture)
    away = x[:, None] - means[None]
    along = jnp.einsum("nkd,kde->nke", away, axes, precision="highest")
    widened = variances[None] + per_row(level, away) ** 2
    log_joint = jnp.log(weights)[None] - 0.5 * jnp.sum(along**2 / widened + jnp.log(2 * jnp.pi * widened), axis=2)
    return log_joint, along, widened


def _back(along: jax.Array, mixture: GaussianMixture) -> jax.Array:
    """From the axes of each mode to those of x."""
    return jnp.einsum("nke,kde->nkd", along, jnp.asarray(mixture.axes, along.dtype), precision="highest")


def _mean_over_modes(log_joint: jax.Array, values: jax.Array) -> jax.Array:
    return jnp.einsum("nk,nkd->nd", jax.nn.softmax(log_joint, axis=1), values, precision="highest")
