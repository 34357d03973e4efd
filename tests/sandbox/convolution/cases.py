"""The losses of the convolution wing, on a convolution and a mean over its map, with params and a batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.convolution import Images, Maps, conv, cross_entropy, squared_error
from tests.case import Case

ROWS, SIZE, CHANNELS, CLASSES = 3, 4, 2, 5
RNG = np.random.default_rng(0)


def _normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def maps_of(params, images):
    return jnp.tanh(conv(images, params["kernel"])) * params["scale"][None, None, None]


def logits_of(params, images):
    return jnp.mean(maps_of(params, images), axis=(1, 2))


PARAMS = {"kernel": _normal(3, 3, CHANNELS, CLASSES), "scale": _normal(CLASSES)}
IMAGES = _normal(ROWS, SIZE, SIZE, CHANNELS)
CLASSIFIED = Images(IMAGES, np.array([[0, 1, 0, 0, 0], [0.3, 0, 0, 0, 0.7], [1, 0, 0, 0, 0]], np.float32),
                    np.array([1, 2, 0], np.float32))
MAPPED = Maps(IMAGES, _normal(ROWS, SIZE, SIZE, CLASSES), RNG.integers(0, 3, (ROWS, SIZE, SIZE)).astype(np.float32))


def _extremes(batch):
    large, zero = (jax.tree.map(lambda leaf, factor=factor: np.float32(factor) * leaf, PARAMS) for factor in (1e4, 0))
    return (
        (PARAMS, batch._replace(weights=np.zeros_like(batch.weights))),
        (large, batch),
        (large, batch._replace(images=1e4 * batch.images, weights=1e4 * batch.weights)),
        (zero, batch),
        (PARAMS, batch._replace(images=np.zeros_like(batch.images))),
    )


classify, regress = (functools.partial(loss, PARAMS) for loss in (cross_entropy, squared_error))
CASES = (
    Case(cross_entropy, PARAMS, CLASSIFIED, {"apply_fn": logits_of, "label_smoothing": 0.1}, _extremes(CLASSIFIED), (
        (ValueError, "images, targets and weights must be (N, ...), (N, K) and (N,), got (3, 4, 4, 2), (3,) and (3,)",
         lambda: classify(CLASSIFIED._replace(targets=jnp.ones(3)), apply_fn=logits_of)),
        (ValueError, "apply_fn must return logits of the targets' shape, (3, 5), got (3, 4, 4, 5)",
         lambda: classify(CLASSIFIED, apply_fn=maps_of)),
        (ValueError, "label_smoothing must be in [0, 1), got 1.0",
         lambda: classify(CLASSIFIED, apply_fn=logits_of, label_smoothing=1.0)),
    )),
    Case(squared_error, PARAMS, MAPPED, {"apply_fn": maps_of}, _extremes(MAPPED), (
        (ValueError, "images, targets and weights must be (N, ...), (N, *places, D) and (N, *places), "
                     "got (3, 4, 4, 2), (3, 4, 4, 5) and (3,)",
         lambda: regress(MAPPED._replace(weights=jnp.ones(3)), apply_fn=maps_of)),
        (ValueError, "apply_fn must return maps of the targets' shape, (3, 4, 4, 5), got (3, 5)",
         lambda: regress(MAPPED, apply_fn=logits_of)),
    )),
)
