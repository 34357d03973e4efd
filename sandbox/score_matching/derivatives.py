"""By hand: f and g² of the processes, derivatives of a mixture's score, and gradients of the losses of an affine score.

The affine score is s(x, t) = A x + b + t c, and its losses are quadratic in their params.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.score_matching.batches import Noised
from sandbox.score_matching.mixtures import GaussianMixture
from sandbox.score_matching.processes import Process, per_row, perturbed
from sandbox.score_matching.weightings import Weighting

__all__ = [
    "DRIFT_AND_DIFFUSION", "AffineScore", "affine_score", "denoising_loss_grad", "explicit_loss_grad",
    "implicit_loss_grad", "mixture_covariance", "mixture_jacobian", "mixture_laplacian", "sliced_loss_grad",
]


def _of_levels(t, sigma_min=0.002, sigma_max=80.0):
    return jnp.zeros_like(t), 2 * t


def _of_exploding(t, sigma_min=0.01, sigma_max=50.0):
    growth = jnp.log(sigma_max / sigma_min)
    return jnp.zeros_like(t), 2 * growth * sigma_min**2 * jnp.exp(2 * growth * t)


def _of_preserving(t, beta_min=0.1, beta_max=20.0):
    beta = beta_min + t * (beta_max - beta_min)
    return -beta / 2, beta


def _of_sub_preserving(t, beta_min=0.1, beta_max=20.0):
    f, beta = _of_preserving(t, beta_min, beta_max)
    return f, beta * -jnp.expm1(-2 * beta_min * t - (beta_max - beta_min) * t**2)


def _of_line(t):
    return -1 / (1 - t), 2 * t / (1 - t)


DRIFT_AND_DIFFUSION: MappingProxyType[str, Callable[..., tuple[jax.Array, jax.Array]]] = MappingProxyType({
    "by_level": _of_levels, "variance_exploding": _of_exploding, "variance_preserving": _of_preserving,
    "sub_variance_preserving": _of_sub_preserving, "linear_path": _of_line})
"""f and g² of (time, *what the process is made of), by the process's name. Source: Song et al. 2021, appendix B."""


class AffineScore(NamedTuple):
    """Params of a score: A (D, D), b (D,), c (D,)."""

    A: jax.Array
    b: jax.Array
    c: jax.Array


def affine_score(params: AffineScore, x: jax.Array, time: jax.Array) -> jax.Array:
    """s(x, t) = A x + b + t c.

    Args:
      params: AffineScore. x: (N, D). time: (N,).
    Returns:
      (N, D).

    >>> affine_score(AffineScore(-jnp.eye(1), jnp.ones(1), jnp.ones(1)), jnp.ones((1, 1)), jnp.array([2.0]))
    Array([[2.]], dtype=float32)
    """
    return x @ params.A.T + params.b[None] + time[:, None] * params.c[None]


def explicit_loss_grad(params: AffineScore, batch: Noised, truth: jax.Array, *, process: Process, weighting: Weighting
                       ) -> AffineScore:
    """Gradient of `explicit_loss`. With u_n = w_n/Σw λ_n (s_n − s*_n):   A: Σ u xᵀ,   b: Σ u,   c: Σ t u.

    Args:
      params: AffineScore. batch: Noised. truth: s*, (N, D). process, weighting: as of the loss.
    Returns:
      AffineScore.

    >>> from sandbox.score_matching.processes import by_level
    >>> from sandbox.score_matching.weightings import unit_weighting
    >>> one = jnp.ones((1, 1))
    >>> explicit_loss_grad(AffineScore(-one, one[0], one[0]), Noised(one, 0 * one, one[0], one[None], one[0]), -one,
    ...                    process=by_level(), weighting=unit_weighting).b
    Array([2.], dtype=float32)
    """
    x_t, shares = _places_and_shares(batch, process, weighting)
    return _sent_back(shares[:, None] * (affine_score(params, x_t, batch.time) - truth), x_t, batch.time)


def implicit_loss_grad(params: AffineScore, batch: Noised, *, process: Process, weighting: Weighting) -> AffineScore:
    """Gradient of `implicit_loss`: that of `explicit_loss` as if s* were 0, and to A Σ w_n/Σw λ_n I: of the trace.

    Args:
      params: AffineScore. batch: Noised. process, weighting: as of the loss.
    Returns:
      AffineScore.

    >>> from sandbox.score_matching.processes import by_level
    >>> from sandbox.score_matching.weightings import unit_weighting
    >>> one = jnp.ones((1, 1))
    >>> implicit_loss_grad(AffineScore(-one, one[0], one[0]), Noised(one, 0 * one, one[0], one[None], one[0]),
    ...                    process=by_level(), weighting=unit_weighting).A
    Array([[2.]], dtype=float32)
    """
    _, shares = _places_and_shares(batch, process, weighting)
    grad = explicit_loss_grad(params, batch, jnp.zeros_like(batch.x), process=process, weighting=weighting)
    return grad._replace(A=grad.A + jnp.sum(shares) * jnp.eye(len(params.b), dtype=params.A.dtype))


def sliced_loss_grad(params: AffineScore, batch: Noised, *, process: Process, weighting: Weighting,
                     variance_reduced: bool) -> AffineScore:
    """Gradient of `sliced_loss`: to A Σ w_n/Σw λ_n mean_P v vᵀ, of the trace; and that of ½ ‖s‖², or of ½ (vᵀ s)².

    Of the latter u_n = w_n/Σw λ_n mean_P v (vᵀ s_n) in place of w_n/Σw λ_n s_n.

    Args:
      params: AffineScore. batch: Noised. process, weighting, variance_reduced: as of the loss.
    Returns:
      AffineScore.

    >>> from sandbox.score_matching.processes import by_level
    >>> from sandbox.score_matching.weightings import unit_weighting
    >>> one = jnp.ones((1, 1))
    >>> sliced_loss_grad(AffineScore(-one, one[0], one[0]), Noised(one, 0 * one, one[0], 2 * one[None], one[0]),
    ...                  process=by_level(), weighting=unit_weighting, variance_reduced=True).A
    Array([[5.]], dtype=float32)
    """
    x_t, shares = _places_and_shares(batch, process, weighting)
    v, score = batch.projections, affine_score(params, x_t, batch.time)
    outer = jnp.einsum("npd,npe->nde", v, v) / v.shape[1]
    seen = score if variance_reduced else jnp.einsum("nde,ne->nd", outer, score)
    grad = _sent_back(shares[:, None] * seen, x_t, batch.time)
    return grad._replace(A=grad.A + jnp.einsum("n,nde->de", shares, outer))


def denoising_loss_grad(params: AffineScore, batch: Noised, *, process: Process, weighting: Weighting) -> AffineScore:
    """Gradient of `denoising_loss`: that of `explicit_loss` as if s* were −ε / σ.

    Args:
      params: AffineScore. batch: Noised. process, weighting: as of the loss.
    Returns:
      AffineScore.

    >>> from sandbox.score_matching.processes import by_level
    >>> from sandbox.score_matching.weightings import unit_weighting
    >>> one = jnp.ones((1, 1))
    >>> denoising_loss_grad(AffineScore(-one, one[0], one[0]), Noised(one, one, one[0], one[None], one[0]),
    ...                     process=by_level(), weighting=unit_weighting).A
    Array([[2.]], dtype=float32)
    """
    truth = -batch.noise / process.level(batch.time)[:, None]
    return explicit_loss_grad(params, batch, truth, process=process, weighting=weighting)


def mixture_jacobian(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture) -> jax.Array:
    """∂s/∂x of `mixture_score`, which is the Hessian of the noised log density, symmetric.

    J = Σ_k r_k (s_k s_kᵀ − P_k) − s sᵀ,   P_k = U_k diag(1 / (v_k + σ²)) U_kᵀ,   s_k = −P_k (x − μ_k).

    Args:
      x: (N, D). level: σ, (N,), or one for all. mixture: of the same D.
    Returns:
      (N, D, D), in 1 / squared units of x.

    >>> from sandbox.score_matching.mixtures import ring_mixture
    >>> mixture_jacobian(jnp.ones((1, 2)), jnp.ones(1), ring_mixture(1, radius=0.0, sigma=1.0))[0].diagonal()
    Array([-0.5, -0.5], dtype=float32)
    """
    r, U, variances, s_k = _modes(x, level, mixture)
    P = jnp.einsum("kde,nke,kfe->nkdf", U, 1 / variances, U, precision="highest")
    s = jnp.sum(r[:, :, None] * s_k, axis=1)
    outer = s_k[..., :, None] * s_k[..., None, :]
    return jnp.sum(r[..., None, None] * (outer - P), axis=1) - s[:, :, None] * s[:, None, :]


def mixture_laplacian(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture) -> jax.Array:
    """tr ∂s/∂x of `mixture_score`: Σ_k r_k (‖s_k‖² − Σ_d 1 / (v_kd + σ²)) − ‖s‖².

    Args:
      x: (N, D). level: σ, (N,), or one for all. mixture: of the same D.
    Returns:
      (N,), in 1 / squared units of x.

    >>> from sandbox.score_matching.mixtures import ring_mixture
    >>> mixture_laplacian(jnp.ones((1, 2)), jnp.ones(1), ring_mixture(1, radius=0.0, sigma=1.0))
    Array([-1.], dtype=float32)
    """
    r, _, variances, s_k = _modes(x, level, mixture)
    s = jnp.sum(r[:, :, None] * s_k, axis=1)
    return jnp.sum(r * jnp.sum(s_k**2 - 1 / variances, axis=2), axis=1) - jnp.sum(s**2, axis=1)


def mixture_covariance(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture) -> jax.Array:
    """Cov[x₀ | x₀ + σ ε = x], x₀ of the mixture: within each Gaussian and between them.

    C = Σ_k r_k (U_k diag(v_k σ² / (v_k + σ²)) U_kᵀ + (d_k − d)(d_k − d)ᵀ),   d = Σ_k r_k d_k,

    d_k = μ_k − U_k diag(v_k) U_kᵀ s_k the mean of each. By Tweedie's second formula it is σ² (I + σ² ∂s/∂x).

    Args:
      x: (N, D). level: σ, (N,), or one for all. mixture: of the same D.
    Returns:
      (N, D, D), in squared units of x.
    Source: Efron 2011, "Tweedie's formula and selection bias", eq. 2.8, in several dimensions.

    >>> from sandbox.score_matching.mixtures import ring_mixture
    >>> mixture_covariance(jnp.ones((1, 2)), jnp.ones(1), ring_mixture(1, radius=0.0, sigma=1.0))[0].diagonal()
    Array([0.5, 0.5], dtype=float32)
    """
    r, U, variances, s_k = _modes(x, level, mixture)
    means, clean = (jnp.asarray(field, x.dtype)[None] for field in (mixture.means, mixture.variances))
    within = jnp.einsum("kde,nke,kfe->nkdf", U, clean * per_row(level, s_k) ** 2 / variances, U, precision="highest")
    d_k = means - jnp.einsum("kde,ke,kfe,nkf->nkd", U, clean[0], U, s_k, precision="highest")
    d_k = d_k - jnp.sum(r[:, :, None] * d_k, axis=1)[:, None]
    return jnp.sum(r[..., None, None] * (within + d_k[..., :, None] * d_k[..., None, :]), axis=1)


def _modes(x: jax.Array, level: jax.Array | float, mixture: GaussianMixture) -> tuple[jax.Array, ...]:
    """r (N, K), U (K, D, D), v_k + σ² and s_k (N, K, D)."""
    weights, means, U, clean = (jnp.asarray(field, x.dtype) for field in mixture)
    away = x[:, None] - means[None]
    along = jnp.einsum("nkd,kde->nke", away, U, precision="highest")
    variances = jnp.broadcast_to(clean[None] + per_row(level, away) ** 2, away.shape)
    s_k = -jnp.einsum("kde,nke->nkd", U, along / variances, precision="highest")
    exponents = -0.5 * jnp.sum(along**2 / variances + jnp.log(variances), axis=2)
    return jax.nn.softmax(jnp.log(weights)[None] + exponents, axis=1), U, variances, s_k


def _places_and_shares(batch: Noised, process: Process, weighting: Weighting) -> tuple[jax.Array, jax.Array]:
    """x_t, and w_n λ_n / Σ w."""
    return (perturbed(process, batch.x, batch.noise, batch.time),
            batch.weights * weighting(process, batch.time) / jnp.sum(batch.weights))


def _sent_back(u: jax.Array, x: jax.Array, time: jax.Array) -> AffineScore:
    return AffineScore(u.T @ x, jnp.sum(u, axis=0), time @ u)
