"""The objective: how surprising a batch of tracks is under a model whose state nobody saw."""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.kalman import covariance
from sandbox.kalman.filter import extended_kalman_filter
from sandbox.kalman.model import Model
from sandbox.kalman.track import Track
from sandbox.reductions import weighted_mean

__all__ = ["TrackAux", "Tracks", "negative_log_likelihood"]


class Tracks(NamedTuple):
    """B tracks. rows: a Track with leading axes (B, T). weight: (B,), 0 marks padding.

    A track shorter than T is filled up with rows in which nothing is measured.
    """

    rows: Track
    weight: jax.Array


class TrackAux(NamedTuple):
    """Unreduced diagnostics, (B, T): log_likelihood of each row given the rows before it, nats; nis, the
    squared length of its whitened innovation; degrees, its number of measured components; accepted."""

    log_likelihood: jax.Array
    nis: jax.Array
    degrees: jax.Array
    accepted: jax.Array


def negative_log_likelihood(params: Any, batch: Tracks, *, model: Model, num_iterations: int = 1,
                            gate: jax.Array | None = None, form: ModuleType = covariance
                            ) -> tuple[jax.Array, TrackAux]:
    r"""Negative log marginal likelihood of the measurements, the states integrated out by the filter.

    L = mean_w [ −log p(z_1..z_T) ],   log p(z_1..z_T) = Σ_k log N(z_k − ẑ_k; 0, S_k).

    Exact for a linear model; to first order otherwise. (With num_iterations > 1, S and ẑ are those of the last
    expansion, whose place z itself has chosen: a score to learn by, no density.)

    Its gradient teaches noise scales, calibration and constants of motion without anyone knowing the true
    states. What the gate turns away counts nothing, so learn without one, or hold it so wide that it turns
    away blunders alone.

    Dimensions: B tracks of T rows.

    Args:
      params: whatever the model's functions take. batch: Tracks.
      model: see Model. num_iterations, gate, form: see `extended_kalman_filter`.
    Returns:
      Scalar, nats per track; and TrackAux.
    Raises:
      ValueError: weight is not of one value per track.
      ValueError: see `extended_kalman_filter`.
    Source: Schweppe 1965; Särkkä, Svensson 2023, chapter 16.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, 0 * one, one, one, Factored(jnp.zeros(1), 0 * one))
    >>> row = Track(jnp.ones((1, 1)), jnp.zeros((1, 1, 0)), jnp.zeros((1, 1), int), one[None], one[None] > 0)
    >>> negative_log_likelihood(None, Tracks(row, jnp.ones(1)), model=model)[0]
    Array(1.4189385, dtype=float32)
    """
    if batch.weight.shape != batch.rows.dt_seconds.shape[:1]:
        raise ValueError(f"weight must have one value per track, {batch.rows.dt_seconds.shape[:1]}, "
                         f"got {batch.weight.shape}")

    def one_track(params: Any, track: Track) -> TrackAux:
        filtered = extended_kalman_filter(model, params, track, num_iterations=num_iterations, gate=gate, form=form)
        innovation = filtered.innovation
        return TrackAux(innovation.log_likelihood, innovation.nis, innovation.degrees, filtered.accepted)

    # Each track has its own copy of params: on a mesh, their gradients then meet once, and not after every row.
    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch.weight.shape[0], *jnp.shape(leaf))), params)
    aux = jax.vmap(one_track)(copies, batch.rows)
    return weighted_mean(-jnp.sum(aux.log_likelihood, axis=1), batch.weight), aux
