"""Back through a whole network by hand: convolution, bias, relu, pooling, mean, head, softmax."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.convolution.convolve import conv
from sandbox.convolution.derivatives import cross_entropy_logits_grad, max_pool_grad, weight_grad
from sandbox.convolution.losses import Images
from sandbox.convolution.pooling import max_pool

__all__ = ["Classifier", "classifier_grad", "classifier_logits"]


class Classifier(NamedTuple):
    """The smallest convolutional network: kernel (*kernel_size, I, F), bias (F,), and a head (F, K)."""

    kernel: jax.Array
    bias: jax.Array
    head: jax.Array


def classifier_logits(params: Classifier, images: jax.Array) -> jax.Array:
    """z = mean_p(max_pool(relu(x ∗ w + b))) v, windows of 2.

    Args:
      params: Classifier. images: (N, *size, I).
    Returns:
      (N, K).

    >>> params = Classifier(jnp.ones((1, 1, 1)), jnp.zeros(1), jnp.ones((1, 2)))
    >>> classifier_logits(params, jnp.array([[[1.0], [2.0], [3.0], [-4.0]]]))
    Array([[2.5, 2.5]], dtype=float32)
    """
    active = jax.nn.relu(_plus(conv(images, params.kernel), params.bias))
    features = jnp.mean(max_pool(active, window=2), axis=tuple(range(1, images.ndim - 1)))
    return features @ params.head


def classifier_grad(params: Classifier, batch: Images, *, label_smoothing: float = 0.0) -> Classifier:
    """Gradient of `cross_entropy` of `classifier_logits`, back through every layer by hand.

    dz = (p − y) w/Σw;   dv = featuresᵀ dz;   dpooled = dz vᵀ / P;   dactive: to the places that were largest;
    da = dactive [a > 0];   db = Σ_np da;   dw = the cross-correlation of x and da.

    Args:
      params: Classifier. batch: Images. label_smoothing: ε.
    Returns:
      Classifier.
    Source: LeCun et al. 1989.

    >>> params = Classifier(jnp.ones((1, 1, 1)), jnp.zeros(1), jnp.zeros((1, 2)))
    >>> batch = Images(jnp.ones((1, 2, 1)), jnp.array([[1.0, 0.0]]), jnp.ones(1))
    >>> classifier_grad(params, batch).head
    Array([[-0.5,  0.5]], dtype=float32)
    """
    spatial = tuple(range(1, batch.images.ndim - 1))
    a = _plus(conv(batch.images, params.kernel), params.bias)
    active = jax.nn.relu(a)
    pooled = max_pool(active, window=2)
    features = jnp.mean(pooled, axis=spatial)
    dz = cross_entropy_logits_grad(features @ params.head, batch, label_smoothing=label_smoothing)
    of_each_place = jnp.expand_dims(dz @ params.head.T, spatial) / (pooled[0, ..., 0].size)
    d_active = max_pool_grad(active, jnp.broadcast_to(of_each_place, pooled.shape), window=2)
    da = jnp.where(a > 0, d_active, 0)
    return Classifier(weight_grad(batch.images, da, kernel_size=params.kernel.shape[:-2]),
                      jnp.sum(da, axis=(0, *spatial)), features.T @ dz)


def _plus(x: jax.Array, bias: jax.Array) -> jax.Array:
    return x + jnp.expand_dims(bias, tuple(range(x.ndim - 1)))
