"""Cross-entropy of the next token, in nats."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.reductions import weighted_mean
from sandbox.tracing import is_concrete

__all__ = ["Tokens", "TokensAux", "next_token_cross_entropy"]


class Tokens(NamedTuple):
    """B rows of T tokens, each with the one that follows it.

    inputs, targets: (B, T) integer, in [0, V). weights: (B, T) floating, 0 for padding. dropout: None, or factors of a
    network's residual branches, its axis of rows first; see `sampling.draw_dropout`.
    """

    inputs: jax.Array
    targets: jax.Array
    weights: jax.Array
    dropout: jax.Array | None = None


class TokensAux(NamedTuple):
    """Diagnostics, each token's own: nats: (B, T), −log p of the target; correct: (B, T) bool, whether it was the
    likeliest; log_partition: (B, T), log Σ e^z; and bits: (), the weighted mean of nats / log 2, which is bits per
    character where tokens are characters."""

    nats: jax.Array
    correct: jax.Array
    log_partition: jax.Array
    bits: jax.Array


def next_token_cross_entropy(params: Any, batch: Tokens, *, apply_fn: Callable[..., jax.Array],
                             label_smoothing: float = 0.0, z_loss: float = 0.0) -> tuple[jax.Array, TokensAux]:
    """Mean negative log likelihood of the next token, in nats.

    Σ w [−(1 − ε) log p_y − ε/V Σ_v log p_v + ζ (log Σ e^z)²] / Σ w,   p = softmax(z),   z = apply_fn(params, inputs).

    Dimensions: B rows, T tokens, V in the vocabulary.

    Args:
      params: of apply_fn.
      batch: Tokens.
      apply_fn: (params, inputs, dropout) -> logits (B, T, V); position t sees inputs up to t.
      label_smoothing: ε, in [0, 1). z_loss: ζ >= 0, in 1/nats; it keeps log Σ e^z near 0.
    Returns:
      Scalar in nats, TokensAux.
    Raises:
      ValueError: inputs, targets and weights differ in shape.
      ValueError: logits are not of the shape of the inputs and a vocabulary.
      ValueError: label_smoothing is not in [0, 1), or z_loss is negative.
    Source: label smoothing: Szegedy et al. 2016; z-loss: Chowdhery et al. 2022, section 5.

    >>> one = jnp.zeros((1, 1), int)
    >>> value, aux = next_token_cross_entropy(None, Tokens(one, one, jnp.ones((1, 1))),
    ...                                       apply_fn=lambda params, inputs, dropout: jnp.zeros((1, 1, 4)))
    >>> round(float(value), 4), round(float(aux.bits), 4)
    (1.3863, 2.0)
    """
    shape = batch.inputs.shape
    if not shape == batch.targets.shape == batch.weights.shape:
        raise ValueError(f"inputs, targets and weights must have one shape, got {shape}, {batch.targets.shape}, "
                         f"{batch.weights.shape}")
    unsmooth = is_concrete(label_smoothing) and not 0 <= label_smoothing < 1
    if unsmooth or (is_concrete(z_loss) and not z_loss >= 0):
        raise ValueError(f"label_smoothing must be in [0, 1) and z_loss 0 or more, got {label_smoothing} and {z_loss}")
    logits = apply_fn(params, batch.inputs, batch.dropout)
    if logits.ndim != 3 or logits.shape[:2] != shape:
        raise ValueError(f"apply_fn must return logits of the shape {(*shape, 'V')}, got {logits.shape}")
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    log_p = jax.nn.log_softmax(logits)
    log_partition = jax.nn.logsumexp(logits, axis=-1)
    nats = -jnp.take_along_axis(log_p, batch.targets[..., None], axis=-1)[..., 0]
    smoothed = (1 - label_smoothing) * nats - label_smoothing * jnp.mean(log_p, axis=-1)
    value = weighted_mean(smoothed + z_loss * log_partition ** 2, batch.weights)
    bits = weighted_mean(nats, batch.weights) / math.log(2)
    return value, TokensAux(nats, jnp.argmax(logits, axis=-1) == batch.targets, log_partition, bits)
