"""By hand: slopes of the criteria, and gradients of both losses through a pair of players written out.

The generator is affine, G(z) = z Bᵀ + c; the discriminator has one hidden layer, D(x) = v · tanh(W x + b) + a. That
is enough for penalties on its slope to have gradients of gradients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.gan.criteria import Criterion
from sandbox.gan.losses import Pairs

__all__ = [
    "CRITERION_SLOPES", "Affine", "CriterionSlopes", "OneHidden", "affine", "discriminator_loss_grad",
    "generator_loss_grad", "gradient_penalty_grad", "one_hidden", "one_hidden_grad", "one_hidden_slopes",
    "one_hidden_slopes_grad", "squared_slope_grad",
]

sigmoid = jax.nn.sigmoid


class CriterionSlopes(NamedTuple):
    """discriminator, generator: (real logits, fake logits) to the slopes of the player's values by each of them."""

    discriminator: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    generator: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def _of_cross_entropy(r, f):
    return -sigmoid(-r), sigmoid(f)


def _flat(r):
    return jnp.zeros_like(r)


CRITERION_SLOPES = {
    "minimax": CriterionSlopes(_of_cross_entropy, lambda r, f: (sigmoid(-r), -sigmoid(f))),
    "non-saturating": CriterionSlopes(_of_cross_entropy, lambda r, f: (_flat(r), -sigmoid(-f))),
    "least-squares": CriterionSlopes(lambda r, f: (r - 1, f), lambda r, f: (_flat(r), f - 1)),
    "hinge": CriterionSlopes(lambda r, f: (-jnp.where(r < 1, 1, _flat(r)), jnp.where(f > -1, 1, _flat(f))),
                             lambda r, f: (_flat(r), -jnp.ones_like(f))),
    "wasserstein": CriterionSlopes(lambda r, f: (-jnp.ones_like(r), jnp.ones_like(f)),
                                   lambda r, f: (jnp.ones_like(r), -jnp.ones_like(f))),
    "relativistic": CriterionSlopes(lambda r, f: (-sigmoid(f - r), sigmoid(f - r)),
                                    lambda r, f: (sigmoid(r - f), -sigmoid(r - f))),
}
"""By the criterion's name."""


class Affine(NamedTuple):
    """Params of a generator: B (D, L), c (D,)."""

    B: jax.Array
    c: jax.Array


class OneHidden(NamedTuple):
    """Params of a discriminator: W (H, D), b (H,), v (H,), a ()."""

    W: jax.Array
    b: jax.Array
    v: jax.Array
    a: jax.Array


def affine(params: Affine, latents: jax.Array) -> jax.Array:
    """G(z) = z Bᵀ + c.

    Args:
      params: Affine. latents: (N, L).
    Returns:
      (N, D).

    >>> affine(Affine(jnp.array([[2.0]]), jnp.array([1.0])), jnp.array([[3.0]]))
    Array([[7.]], dtype=float32)
    """
    return latents @ params.B.T + params.c[None]


def one_hidden(params: OneHidden, samples: jax.Array) -> jax.Array:
    """D(x) = v · h + a,   h = tanh(W x + b).

    Args:
      params: OneHidden. samples: (N, D).
    Returns:
      Logits (N,).

    >>> one_hidden(OneHidden(jnp.ones((1, 2)), jnp.zeros(1), jnp.ones(1), jnp.array(3.0)), jnp.zeros((1, 2)))
    Array([3.], dtype=float32)
    """
    return _hidden(params, samples) @ params.v + params.a


def one_hidden_grad(params: OneHidden, samples: jax.Array, cotangents: jax.Array) -> OneHidden:
    """∇ Σ_n u_n D(x_n) to the params: back-propagation.

    With δ_n = u_n v ∘ (1 − h_n²):   W: Σ δ_n x_nᵀ,   b: Σ δ_n,   v: Σ u_n h_n,   a: Σ u_n.

    Args:
      params: OneHidden. samples: (N, D). cotangents: u, (N,).
    Returns:
      OneHidden.

    >>> one_hidden_grad(OneHidden(jnp.ones((1, 1)), jnp.zeros(1), jnp.ones(1), jnp.array(0.0)), jnp.zeros((1, 1)),
    ...                 jnp.array([2.0])).b
    Array([2.], dtype=float32)
    """
    h = _hidden(params, samples)
    delta = cotangents[:, None] * params.v[None] * (1 - h**2)
    return OneHidden(delta.T @ samples, jnp.sum(delta, axis=0), cotangents @ h, jnp.sum(cotangents))


def one_hidden_slopes(params: OneHidden, samples: jax.Array) -> jax.Array:
    """∇D by the input: g = Wᵀ e,   e = v ∘ (1 − h²).

    Args:
      params: OneHidden. samples: (N, D).
    Returns:
      (N, D).

    >>> one_hidden_slopes(OneHidden(jnp.ones((1, 2)), jnp.zeros(1), jnp.ones(1), jnp.array(3.0)), jnp.zeros((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """
    return (params.v[None] * (1 - _hidden(params, samples) ** 2)) @ params.W


def one_hidden_slopes_grad(params: OneHidden, samples: jax.Array, cotangents: jax.Array) -> OneHidden:
    """∇ Σ_n u_n · ∇D(x_n) to the params: a gradient of a gradient.

    With e = v ∘ (1 − h²), k = W u, q = −2 h ∘ e ∘ k, all of row n:
    W: Σ (e uᵀ + q xᵀ),   b: Σ q,   v: Σ k ∘ (1 − h²),   a: 0.

    Args:
      params: OneHidden. samples: (N, D). cotangents: u, (N, D).
    Returns:
      OneHidden.

    >>> one_hidden_slopes_grad(OneHidden(jnp.ones((1, 1)), jnp.zeros(1), jnp.ones(1), jnp.array(3.0)),
    ...                        jnp.zeros((1, 1)), jnp.array([[2.0]])).v
    Array([2.], dtype=float32)
    """
    h = _hidden(params, samples)
    bend = 1 - h**2
    e, k = params.v[None] * bend, cotangents @ params.W.T
    q = -2 * h * e * k
    return OneHidden(e.T @ cotangents + q.T @ samples, jnp.sum(q, axis=0), jnp.sum(k * bend, axis=0),
                     jnp.zeros_like(params.a))


def squared_slope_grad(params: OneHidden, samples: jax.Array, weights: jax.Array) -> OneHidden:
    """∇ Σ w ½ ‖∇D(x)‖² / Σ w to the params, R1 or R2 by what the samples are: `one_hidden_slopes_grad` of w/Σw ∇D.

    Args:
      params: OneHidden. samples: (N, D). weights: (N,).
    Returns:
      OneHidden.
    Source: Mescheder, Geiger, Nowozin 2018, eq. 9 and 10.

    >>> squared_slope_grad(OneHidden(jnp.ones((1, 1)), jnp.zeros(1), jnp.array([3.0]), jnp.array(0.0)),
    ...                    jnp.zeros((1, 1)), jnp.ones(1)).v
    Array([3.], dtype=float32)
    """
    g = one_hidden_slopes(params, samples)
    return one_hidden_slopes_grad(params, samples, _shares(weights)[:, None] * g)


def gradient_penalty_grad(params: OneHidden, samples: jax.Array, weights: jax.Array) -> OneHidden:
    """∇ Σ w (‖∇D(x̂)‖ − 1)² / Σ w to the params: `one_hidden_slopes_grad` of w/Σw 2 (1 − 1/‖g‖) g, g = ∇D(x̂).

    Args:
      params: OneHidden. samples: x̂, (N, D); none where ∇D is 0. weights: (N,).
    Returns:
      OneHidden.
    Source: Gulrajani et al. 2017, eq. 3.

    >>> gradient_penalty_grad(OneHidden(jnp.ones((1, 1)), jnp.zeros(1), jnp.array([2.0]), jnp.array(0.0)),
    ...                       jnp.zeros((1, 1)), jnp.ones(1)).v
    Array([2.], dtype=float32)
    """
    g = one_hidden_slopes(params, samples)
    norms = jnp.sqrt(jnp.sum(g**2, axis=1))
    return one_hidden_slopes_grad(params, samples, (_shares(weights) * 2 * (1 - 1 / norms))[:, None] * g)


def discriminator_loss_grad(params: OneHidden, opponent: Affine, batch: Pairs, *, criterion: Criterion, r1: float = 0.0,
                            r2: float = 0.0, gradient_penalty: float = 0.0) -> OneHidden:
    """Gradient of `discriminator_loss` to its params: the criterion's slopes, sent back, and the penalties' gradients.

    Args:
      params: OneHidden. opponent: Affine. batch: Pairs. criterion: one of CRITERIA.
      r1, r2, gradient_penalty: weights of the penalties.
    Returns:
      OneHidden.

    >>> from sandbox.gan.criteria import WASSERSTEIN
    >>> player = OneHidden(jnp.ones((1, 1)), jnp.zeros(1), jnp.ones(1), jnp.array(0.0))
    >>> batch = Pairs(jnp.ones((1, 1)), jnp.ones((1, 1)), jnp.zeros(1), jnp.ones(1))
    >>> discriminator_loss_grad(player, Affine(-jnp.ones((1, 1)), jnp.zeros(1)), batch, criterion=WASSERSTEIN).v
    Array([-1.5231884], dtype=float32)
    """
    fake, weights = affine(opponent, batch.latents), batch.weights
    between = batch.real + batch.mix[:, None] * (fake - batch.real)
    slopes = CRITERION_SLOPES[criterion.name].discriminator(one_hidden(params, batch.real), one_hidden(params, fake))
    to_real, to_fake = (_shares(weights) * slope for slope in slopes)
    return _sum((1, one_hidden_grad(params, batch.real, to_real)), (1, one_hidden_grad(params, fake, to_fake)),
                (r1, squared_slope_grad(params, batch.real, weights)), (r2, squared_slope_grad(params, fake, weights)),
                (gradient_penalty, gradient_penalty_grad(params, between, weights)))


def generator_loss_grad(params: Affine, opponent: OneHidden, batch: Pairs, *, criterion: Criterion) -> Affine:
    """Gradient of `generator_loss` to its params: with u_n = w_n/Σw · slope by D(x̃_n) · ∇D(x̃_n),   B: Σ u zᵀ, c: Σ u.

    Args:
      params: Affine. opponent: OneHidden. batch: Pairs. criterion: one of CRITERIA.
    Returns:
      Affine.

    >>> from sandbox.gan.criteria import WASSERSTEIN
    >>> player = OneHidden(jnp.ones((1, 1)), jnp.zeros(1), jnp.ones(1), jnp.array(0.0))
    >>> batch = Pairs(jnp.ones((1, 1)), jnp.ones((1, 1)), jnp.zeros(1), jnp.ones(1))
    >>> generator_loss_grad(Affine(jnp.zeros((1, 1)), jnp.zeros(1)), player, batch, criterion=WASSERSTEIN).c
    Array([-1.], dtype=float32)
    """
    fake = affine(params, batch.latents)
    _, to_fake = CRITERION_SLOPES[criterion.name].generator(one_hidden(opponent, batch.real),
                                                            one_hidden(opponent, fake))
    u = (_shares(batch.weights) * to_fake)[:, None] * one_hidden_slopes(opponent, fake)
    return Affine(u.T @ batch.latents, jnp.sum(u, axis=0))


def _hidden(params: OneHidden, samples: jax.Array) -> jax.Array:
    return jnp.tanh(samples @ params.W.T + params.b[None])


def _shares(weights: jax.Array) -> jax.Array:
    total = jnp.sum(weights)
    return weights / jnp.where(total > 0, total, 1)


def _sum(*weighted: tuple[float, Any]) -> Any:
    return jax.tree.map(lambda *leaves: sum(weight * leaf for (weight, _), leaf in zip(weighted, leaves)),
                        *(tree for _, tree in weighted))
