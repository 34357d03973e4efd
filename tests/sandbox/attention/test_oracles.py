"""The same attention through jax.nn, in value and gradient; its softmax is in float32 whatever goes in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import attention
from tests.sandbox.attention.problems import BATCH, HEADS, PLAIN, PROBLEMS, QUERIES, UNSEEN, assert_close

Q, K, V, _ = PLAIN.floats
BIAS = PROBLEMS[UNSEEN].floats[3]
MASK = np.random.default_rng(0).random((BATCH, HEADS, QUERIES, QUERIES)) < 0.7
MASK |= np.eye(QUERIES, dtype=bool)[None, None]  # a query that sees nothing is no concern of theirs
COTANGENT = np.random.default_rng(1).normal(size=Q.shape)


@pytest.mark.parametrize("ours, theirs", [
    ({"window": 3, "scale": 2.0}, {"local_window_size": 2, "scale": 2.0}),
    ({"causal": True, "window": 3}, {"is_causal": True, "local_window_size": (2, 0)}),
    ({"causal": True, "mask": MASK, "bias": BIAS}, {"is_causal": True, "mask": MASK, "bias": BIAS}),
], ids=["window to both sides, scale", "causal, window", "causal, mask, bias"])
def test_jax_nn(ours, theirs, float64):
    def evaluate(attend, options):
        def projected(qkv):
            out = attend(*qkv, **options)
            return jnp.sum(COTANGENT * out), out
        return jax.jit(jax.value_and_grad(projected, has_aux=True))((Q, K, V))

    with jax.numpy_rank_promotion("allow"):
        expected = evaluate(jax.nn.dot_product_attention, theirs)
    assert_close(evaluate(attention, ours), expected, 1e-6)
