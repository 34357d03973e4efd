"""Estimators of one score at x_t = α(t) x + σ(t) ε, each a loss; they differ in what they need to know of the data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.reductions import weighted_mean
from sandbox.score_matching.batches import Noised, require_batch, without_padding
from sandbox.score_matching.processes import Process, by_level, linear_path, per_row, perturbed
from sandbox.score_matching.traces import exact_trace, quadratic_forms
from sandbox.score_matching.weightings import Weighting, edm_weighting, flow_weighting, noise_weighting

__all__ = [
    "ScoreAux", "denoising_loss", "edm_loss", "explicit_loss", "flow_matching_loss", "implicit_loss", "sliced_loss",
]

ScoreFn = Callable[..., jax.Array]
LEVELS, LINE = by_level(), linear_path()


class ScoreAux(NamedTuple):
    """Diagnostics, (N,) each; None for what the loss does not look at.

    objective: what the loss is the mean of. squared_score: ‖s‖². trace: tr ∂s/∂x_t, or its estimate. error:
    ‖σ (s − s*)‖², of the noise that the score tells; of a score that tells nothing, about D.
    """

    objective: jax.Array
    squared_score: jax.Array
    trace: jax.Array | None = None
    error: jax.Array | None = None


def explicit_loss(params: Any, batch: Noised, *, score_fn: ScoreFn, true_score_fn: ScoreFn, process: Process = LEVELS,
                  weighting: Weighting = noise_weighting) -> tuple[jax.Array, ScoreAux]:
    """Fisher divergence to a score that is known: what the other losses estimate without knowing it.

    L = E[λ(t) ½ ‖s(x_t, t) − s*(x_t, t)‖²],   x_t = α x + σ ε,   E the mean by weights, ‖·‖² over a row's D numbers.

    Args:
      params: of score_fn. batch: Noised; a row of weight 0 may hold anything.
      score_fn: s, (params, x_t, time, *conditions) -> (N, *shape), each row by itself.
      true_score_fn: s*, (x_t, time, *conditions) -> (N, *shape).
      process: α, σ. weighting: λ, see WEIGHTINGS.
    Returns:
      Scalar, in the unit of λ over that of x²: nats per unit of time where λ is the likelihood's, none where it is that
      of the noise; ScoreAux. A time outside the process's interval gives what α and σ give there, which may not be
      finite: `require_times` refuses it on the host.
    Raises:
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.
      ValueError: score_fn does not return the shape of x.
      ValueError: true_score_fn does not return the shape of x.
    Source: Hyvärinen 2005, "Estimation of non-normalized statistical models by score matching", eq. 2.

    >>> batch = Noised(jnp.ones((1, 2)), jnp.zeros((1, 2)), jnp.ones(1), jnp.ones((1, 1, 2)), jnp.ones(1))
    >>> normal = lambda scale, x, time: -scale * x
    >>> explicit_loss(3.0, batch, score_fn=normal, true_score_fn=lambda x, time: -x)[0]
    Array(4., dtype=float32)
    """
    batch, x_t, field = _places(params, batch, score_fn, process)
    truth = _of_shape("true_score_fn", true_score_fn(x_t, batch.time, *batch.conditions), x_t)
    score = field(x_t)
    squares = _squares(score - truth)
    return _mean(batch, weighting(process, batch.time) * 0.5 * squares, _squares(score),
                 error=process.level(batch.time) ** 2 * squares)


def implicit_loss(params: Any, batch: Noised, *, score_fn: ScoreFn, process: Process = LEVELS,
                  weighting: Weighting = noise_weighting, at_once: int = 1) -> tuple[jax.Array, ScoreAux]:
    """Hyvärinen's: the Fisher divergence less what no parameter changes, by the score and its divergence alone.

    L = E[λ(t) (½ ‖s‖² + tr ∂s/∂x_t)] = explicit loss − E[λ ½ ‖s*‖²],   s* the score of the density of x_t.

    Args:
      params, batch, score_fn, process, weighting: see `explicit_loss`.
      at_once: see `exact_trace`.
    Returns:
      Scalar, in the unit of the explicit loss; ScoreAux.
    Raises:
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.
      ValueError: at_once is below 1.
      ValueError: score_fn does not return the shape of x.
    Source: Hyvärinen 2005, eq. 4.

    >>> batch = Noised(jnp.ones((1, 2)), jnp.zeros((1, 2)), jnp.ones(1), jnp.ones((1, 1, 2)), jnp.ones(1))
    >>> implicit_loss(3.0, batch, score_fn=lambda scale, x, time: -scale * x)[0]
    Array(3., dtype=float32)
    """
    batch, x_t, field = _places(params, batch, score_fn, process)
    score, trace = exact_trace(field, x_t, at_once=at_once)
    squares = _squares(score)
    return _mean(batch, weighting(process, batch.time) * (0.5 * squares + trace), squares, trace)


def sliced_loss(params: Any, batch: Noised, *, score_fn: ScoreFn, process: Process = LEVELS,
                weighting: Weighting = noise_weighting, variance_reduced: bool = True) -> tuple[jax.Array, ScoreAux]:
    """The implicit loss by projections: as many directions as the batch brings, whatever D is.

    L = E[λ(t) mean_P (vᵀ (∂s/∂x_t) v + ½ (vᵀ s)²)];   variance-reduced, ½ ‖s‖² for ½ (vᵀ s)².

    Its mean over v is the implicit loss itself, as E v vᵀ = I: nothing is divided by D.

    Args:
      params, batch, score_fn, process, weighting: see `explicit_loss`.
      variance_reduced: whether ‖s‖² is taken as it is, and only the trace by projections.
    Returns:
      Scalar, in the unit of the explicit loss; ScoreAux.
    Raises:
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.
      ValueError: there is no projection.
      ValueError: score_fn does not return the shape of x.
    Source: Song, Garg, Shi, Ermon 2019, "Sliced score matching: a scalable approach to density and score estimation",
      section 3.

    >>> batch = Noised(jnp.ones((1, 2)), jnp.zeros((1, 2)), jnp.ones(1), jnp.ones((1, 1, 2)), jnp.ones(1))
    >>> sliced_loss(3.0, batch, score_fn=lambda scale, x, time: -scale * x)[0]
    Array(3., dtype=float32)
    """
    batch, x_t, field = _places(params, batch, score_fn, process)
    if batch.projections.shape[1] == 0:
        raise ValueError(f"projections must be at least one a row, got {batch.projections.shape}")
    score, forms = quadratic_forms(field, x_t, batch.projections)
    trace, squared_score = jnp.mean(forms, axis=1), _squares(score)
    squares = squared_score
    if not variance_reduced:
        along = jnp.sum(batch.projections * score[:, None], axis=tuple(range(2, batch.projections.ndim)))
        squares = jnp.mean(along**2, axis=1)
    return _mean(batch, weighting(process, batch.time) * (0.5 * squares + trace), squared_score, trace)


def denoising_loss(params: Any, batch: Noised, *, score_fn: ScoreFn, process: Process = LEVELS,
                   weighting: Weighting = noise_weighting) -> tuple[jax.Array, ScoreAux]:
    """Vincent's: against the score of x_t given x, which is −ε / σ; its mean given x_t is the score of x_t.

    L = E[λ(t) ½ ‖s + ε / σ‖²] = explicit loss + E[λ ½ (D / σ² − ‖s*‖²)].

    Args:
      params, batch, score_fn, process, weighting: see `explicit_loss`.
    Returns:
      Scalar, in the unit of the explicit loss; ScoreAux.
    Raises:
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.
      ValueError: score_fn does not return the shape of x.
    Source: Vincent 2011, "A connection between score matching and denoising autoencoders", eq. 9 to 11.

    >>> batch = Noised(jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.ones(1), jnp.ones((1, 1, 2)), jnp.ones(1))
    >>> denoising_loss(1.0, batch, score_fn=lambda scale, x, time: -scale * x)[0]
    Array(1., dtype=float32)
    """
    batch, x_t, field = _places(params, batch, score_fn, process)
    score, sigma = field(x_t), process.level(batch.time)
    error = _squares(per_row(sigma, score) * score + batch.noise)  # and not of s + ε/σ, which is large where σ is small
    return _mean(batch, weighting(process, batch.time) / sigma**2 * 0.5 * error, _squares(score), error=error)


def edm_loss(params: Any, batch: Noised, *, score_fn: ScoreFn, sigma_data: float, process: Process = LEVELS
             ) -> tuple[jax.Array, ScoreAux]:
    """EDM's: the denoiser against clean data, weighed so that its preconditioned network sees a target of variance 1.

    L = E[λ(ς) ‖D(x_t) − x‖²],   λ = (ς² + σ_d²) / (ς σ_d)²,   D = (x_t + σ² s) / α,   ς = σ / α.
    Computed as the denoising loss under `edm_weighting`, which it is: D − x = ς (ε + σ s), without cancellation.

    Args:
      params, batch, score_fn, process: see `explicit_loss`. sigma_data: σ_d > 0.
    Returns:
      Scalar, dimensionless, about D for an untrained network; ScoreAux.
    Raises:
      ValueError: sigma_data is not above 0.
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.
      ValueError: score_fn does not return the shape of x.
    Source: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", eq. 2 and table 1.

    >>> batch = Noised(jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.ones(1), jnp.ones((1, 1, 2)), jnp.ones(1))
    >>> edm_loss(1.0, batch, score_fn=lambda scale, x, time: -scale * x, sigma_data=1.0)[0]
    Array(4., dtype=float32)
    """
    return denoising_loss(params, batch, score_fn=score_fn, process=process, weighting=edm_weighting(sigma_data))


def flow_matching_loss(params: Any, batch: Noised, *, score_fn: ScoreFn, process: Process = LINE
                       ) -> tuple[jax.Array, ScoreAux]:
    """Flow matching: the probability flow's velocity against that of each row's own path.

    L = E ‖v(x_t, t) − (α' x + σ' ε)‖²,   v = f x_t − ½ g² s;   on the linear path, ‖v − (ε − x)‖².
    Computed as the denoising loss under `flow_weighting`, which it is: the difference is −½ g²/σ (σ s + ε).

    Args:
      params, batch, score_fn, process: see `explicit_loss`.
    Returns:
      Scalar, in squared units of x per squared unit of time; ScoreAux.
    Raises:
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.
      ValueError: score_fn does not return the shape of x.
    Source: Lipman et al. 2023, "Flow matching for generative modeling", eq. 9 and 23; Liu, Gong, Liu 2023, eq. 1.

    >>> batch = Noised(jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.full(1, 0.5), jnp.ones((1, 1, 2)), jnp.ones(1))
    >>> flow_matching_loss(1.0, batch, score_fn=lambda scale, x, time: -scale * x)[0]
    Array(2., dtype=float32)
    """
    return denoising_loss(params, batch, score_fn=score_fn, process=process, weighting=flow_weighting)


def _places(params: Any, batch: Noised, score_fn: ScoreFn, process: Process
            ) -> tuple[Noised, jax.Array, Callable[[jax.Array], jax.Array]]:
    """The batch made safe, where it looks, and the score as a field of places."""
    require_batch(batch)
    batch = without_padding(batch, process)

    def field(x: jax.Array) -> jax.Array:
        return _of_shape("score_fn", score_fn(params, x, batch.time, *batch.conditions), x)

    return batch, perturbed(process, batch.x, batch.noise, batch.time), field


def _mean(batch: Noised, objective: jax.Array, squared_score: jax.Array, trace: jax.Array | None = None,
          error: jax.Array | None = None) -> tuple[jax.Array, ScoreAux]:
    return weighted_mean(objective, batch.weights), ScoreAux(objective, squared_score, trace, error)


def _squares(rows: jax.Array) -> jax.Array:
    return jnp.sum(rows**2, axis=tuple(range(1, rows.ndim)))


def _of_shape(name: str, score: jax.Array, x: jax.Array) -> jax.Array:
    if score.shape != x.shape:
        raise ValueError(f"{name} must return the shape of x, {x.shape}, got {score.shape}")
    return score
