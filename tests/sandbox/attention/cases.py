"""The loss of the attention wing, on a small transformer with dropout, with params and a batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.attention import Tokens, Transformer
from sandbox.attention.losses import next_token_cross_entropy
from tests.case import Case

ROWS, LENGTH, VOCABULARY, WIDTH = 2, 4, 5, 8
MODEL = Transformer(num_tokens=VOCABULARY, num_layers=1, width=WIDTH, num_heads=2, num_key_heads=1)
APPLY = jax.jit(MODEL.apply)  # eager, a network compiles each of its operations


RNG = np.random.default_rng(0)
# Normal ones: those that the model begins with give no logits.
PARAMS = jax.tree.map(lambda leaf: 0.5 * RNG.normal(size=leaf.shape).astype(np.float32),
                      jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, LENGTH), int)))
TEXT = RNG.integers(0, VOCABULARY, (ROWS, LENGTH + 1)).astype(np.int32)
BATCH = Tokens(TEXT[:, :-1], TEXT[:, 1:], np.array([[1, 1, 2, 0], [1, 0, 0, 0]], np.float32),
               2 * RNG.integers(0, 2, (ROWS, 2, LENGTH, WIDTH)).astype(np.float32))


def _scaled(factor):
    return jax.tree.map(lambda leaf: factor * leaf, PARAMS)


EXTREMES = (
    (PARAMS, BATCH._replace(weights=np.zeros_like(BATCH.weights))),
    (_scaled(1e4), BATCH),
    (_scaled(1e4), BATCH._replace(weights=BATCH.weights * np.array([[0], [1]], np.float32))),
    (_scaled(0.0), BATCH),
    (PARAMS, BATCH._replace(dropout=np.zeros_like(BATCH.dropout))),
)

loss = functools.partial(next_token_cross_entropy, PARAMS)
CASES = (
    Case(next_token_cross_entropy, PARAMS, BATCH,
         {"apply_fn": APPLY, "label_smoothing": 0.1, "z_loss": 1e-3}, EXTREMES, (
        (ValueError, "inputs, targets and weights must have one shape, got (2, 4), (2, 4), (2, 3)",
         lambda: loss(BATCH._replace(weights=jnp.ones((2, 3))), apply_fn=APPLY)),
        (ValueError, "apply_fn must return logits of the shape (2, 4, 'V'), got (2, 5)",
         lambda: loss(BATCH, apply_fn=lambda params, inputs, dropout: jnp.zeros((2, 5)))),
        (ValueError, "label_smoothing must be in [0, 1) and z_loss 0 or more, got 1.0 and 0.0",
         lambda: loss(BATCH, apply_fn=APPLY, label_smoothing=1.0)),
    )),
)
