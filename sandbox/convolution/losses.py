"""Classification of images, in nats, and regression of feature maps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.reductions import weighted_mean
from sandbox.tracing import is_concrete

__all__ = ["ClassAux", "Images", "MapAux", "Maps", "cross_entropy", "squared_error"]


class Images(NamedTuple):
    """N images with their classes.

    images: (N, *size, C) floating. targets: (N, K) floating, each row the probabilities of the classes, one of them 1
    unless images were mixed. weights: (N,) floating, 0 for padding.
    """

    images: jax.Array
    targets: jax.Array
    weights: jax.Array


class ClassAux(NamedTuple):
    """Diagnostics: nats: (N,), −Σ y log p of each image; correct: (N,) bool, whether the likeliest class is the
    target's; accuracy: (), the weighted share of those."""

    nats: jax.Array
    correct: jax.Array
    accuracy: jax.Array


class Maps(NamedTuple):
    """N images with a map each, to be predicted place by place.

    images: (N, *size, C) floating. targets: (N, *places, D) floating. weights: (N, *places) floating, 0 where nothing
    is known.
    """

    images: jax.Array
    targets: jax.Array
    weights: jax.Array


class MapAux(NamedTuple):
    """Diagnostics: errors: (N, *places), |f(x) − t|² of each place; rmse: (), the root of their weighted mean over D
    channels."""

    errors: jax.Array
    rmse: jax.Array


def cross_entropy(params: Any, batch: Images, *, apply_fn: Callable[..., jax.Array], label_smoothing: float = 0.0
                  ) -> tuple[jax.Array, ClassAux]:
    """Mean negative log likelihood of the classes, in nats.

    −Σ_n w_n Σ_k ((1 − ε) y_nk + ε/K) log p_nk / Σ w,   p = softmax(apply_fn(params, images)).

    Dimensions: N images, K classes.

    Args:
      params: of apply_fn. batch: Images.
      apply_fn: (params, images) -> logits (N, K). label_smoothing: ε, in [0, 1).
    Returns:
      Scalar in nats, ClassAux.
    Raises:
      ValueError: images, targets and weights are of other shapes than (N, ...), (N, K) and (N,).
      ValueError: logits are not of the shape of the targets.
      ValueError: label_smoothing is not in [0, 1).
    Source: Szegedy et al. 2016, "Rethinking the inception architecture", section 7.

    >>> batch = Images(jnp.ones((1, 2, 2, 1)), jnp.array([[1.0, 0.0]]), jnp.ones(1))
    >>> value, aux = cross_entropy(None, batch, apply_fn=lambda params, images: jnp.zeros((1, 2)))
    >>> round(float(value), 4), bool(aux.correct[0])
    (0.6931, True)
    """
    rows = batch.images.shape[:1]
    if batch.targets.ndim != 2 or not rows == batch.targets.shape[:1] == batch.weights.shape:
        raise ValueError("images, targets and weights must be (N, ...), (N, K) and (N,), got "
                         f"{batch.images.shape}, {batch.targets.shape} and {batch.weights.shape}")
    if is_concrete(label_smoothing) and not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
    logits = apply_fn(params, batch.images)
    if logits.shape != batch.targets.shape:
        raise ValueError(f"apply_fn must return logits of the targets' shape, {batch.targets.shape}, got "
                         f"{logits.shape}")
    log_p = jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)))
    nats = -jnp.sum(batch.targets * log_p, axis=-1)
    smoothed = (1 - label_smoothing) * nats - label_smoothing * jnp.mean(log_p, axis=-1)
    correct = jnp.argmax(logits, axis=-1) == jnp.argmax(batch.targets, axis=-1)
    accuracy = weighted_mean(correct.astype(nats.dtype), batch.weights)
    return weighted_mean(smoothed, batch.weights), ClassAux(nats, correct, accuracy)


def squared_error(params: Any, batch: Maps, *, apply_fn: Callable[..., jax.Array]) -> tuple[jax.Array, MapAux]:
    """Mean squared error of a feature map: of a depth, a flow, an image without its noise.

    Σ_np w_np |f(x_n)[p] − t_n[p]|² / Σ w.

    Dimensions: N images, p of one to three spatial axes, D channels.

    Args:
      params: of apply_fn. batch: Maps.
      apply_fn: (params, images) -> maps (N, *places, D).
    Returns:
      Scalar in squared units of the targets, MapAux.
    Raises:
      ValueError: images, targets and weights are of other shapes than (N, ...), (N, *places, D) and (N, *places).
      ValueError: the maps are not of the shape of the targets.

    >>> batch = Maps(jnp.ones((1, 2, 1)), jnp.array([1.0, 3.0]).reshape(1, 2, 1), jnp.ones((1, 2)))
    >>> value, aux = squared_error(None, batch, apply_fn=lambda params, images: images)
    >>> float(value), aux.errors.tolist()
    (2.0, [[0.0, 4.0]])
    """
    shape = batch.targets.shape
    if batch.weights.shape != shape[:-1] or len(shape) < 2 or batch.images.shape[:1] != shape[:1]:
        raise ValueError("images, targets and weights must be (N, ...), (N, *places, D) and (N, *places), got "
                         f"{batch.images.shape}, {shape} and {batch.weights.shape}")
    maps = apply_fn(params, batch.images)
    if maps.shape != shape:
        raise ValueError(f"apply_fn must return maps of the targets' shape, {shape}, got {maps.shape}")
    maps = maps.astype(jnp.promote_types(maps.dtype, jnp.float32))
    errors = jnp.sum((maps - batch.targets) ** 2, axis=-1)
    value = weighted_mean(errors, batch.weights)
    return value, MapAux(errors, jnp.sqrt(jax.lax.stop_gradient(value) / shape[-1]))
