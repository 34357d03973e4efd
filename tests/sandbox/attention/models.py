"""A small transformer with drawn parameters: those that a model begins with give no logits, and so show nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.attention import Transformer

VOCABULARY, LENGTH = 7, 8
MODEL = Transformer(num_tokens=VOCABULARY, num_layers=2, width=16, num_heads=4, num_key_heads=2)
TOKENS = np.random.default_rng(0).integers(0, VOCABULARY, (2, LENGTH))
APPLY = jax.jit(lambda model, params, tokens, dropout=None: model.apply(params, tokens, dropout), static_argnums=0)


def drawn_params(model, seed=0):
    """Normal, of a size that keeps every branch about as large as the stream that it is added to."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 2), int))
    return jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape) / (leaf.shape[0] ** 0.5 if leaf.ndim == 2 else 1), shapes)


PARAMS = drawn_params(MODEL)
SMALL = MODEL.clone(num_layers=1)


@functools.cache
def begun():
    """The parameters that SMALL begins with, in single precision."""
    return jax.jit(SMALL.init)(jax.random.key(0), jnp.zeros((1, 2), int))
