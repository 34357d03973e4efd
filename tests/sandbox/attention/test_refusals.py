"""What attention refuses, each by name, whatever implements it."""

import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import attention

Q, KV = np.ones((2, 3, 4, 2), np.float32), np.ones((2, 3, 2, 2), np.float32)
LONG = np.ones((2, 5, 2, 2), np.float32)
IDS, LONG_IDS = np.zeros((2, 3), int), np.zeros((2, 5), int)


@pytest.mark.parametrize("arrays, options, words", [
    ((Q[0], KV, KV), {}, "q must have 4 axes (batch, length, heads, head size), got the shape (3, 4, 2)"),
    ((Q, KV[0], KV), {}, "k must have 4 axes (batch, length, heads, head size), got the shape (3, 2, 2)"),
    ((Q, KV, KV[0]), {}, "v must have 4 axes (batch, length, heads, head size), got the shape (3, 2, 2)"),
    ((Q, KV, LONG), {}, "k and v must have one shape, got (2, 3, 2, 2) and (2, 5, 2, 2)"),
    ((Q[:1], KV, KV), {}, "q and k must have one batch size, got 1 and 2"),
    ((Q[..., :1], KV, KV), {}, "q and k must have one head size, got 1 and 2"),
    ((Q[:, :, :3], KV, KV), {}, "the 3 heads of q must be a multiple of the 2 heads of k and v"),
    ((Q, KV[:, :, :0], KV[:, :, :0]), {}, "the 4 heads of q must be a multiple of the 0 heads of k and v"),
    ((Q, KV, KV), {"softcap": 0.0}, "softcap must be positive, or None, got 0.0"),
    ((Q, KV, KV), {"softcap": float("nan")}, "softcap must be positive, or None, got nan"),
    ((Q, KV, KV), {"window": 0}, "window must be at least 1 (the query's own position), got 0"),
    ((Q, LONG, LONG), {"causal": True}, "causal and window need as many queries as keys, got 3 and 5"),
    ((Q, LONG, LONG), {"window": 2}, "causal and window need as many queries as keys, got 3 and 5"),
    ((Q, KV, KV), {"key_segment_ids": IDS}, "key_segment_ids needs segment_ids, of the queries, beside it"),
    ((Q, KV, KV), {"segment_ids": LONG_IDS}, "segment_ids must have the shape (2, 3), got (2, 5)"),
    ((Q, LONG, LONG), {"segment_ids": IDS}, "3 queries over 5 keys need key_segment_ids beside segment_ids"),
    ((Q, LONG, LONG), {"segment_ids": IDS, "key_segment_ids": IDS},
     "key_segment_ids must have the shape (2, 5), got (2, 3)"),
    ((Q, KV, KV), {"mask": np.ones((3, 3), bool)},
     "mask must have the shape (2, 4, 3, 3), or 1 along an axis, got (3, 3)"),
    ((Q, KV, KV), {"mask": np.ones((1, 2, 3, 3), bool)},
     "mask must have the shape (2, 4, 3, 3), or 1 along an axis, got (1, 2, 3, 3)"),
    ((Q, KV, KV), {"bias": np.ones((2, 4, 3, 5))},
     "bias must have the shape (2, 4, 3, 3), or 1 along an axis, got (2, 4, 3, 5)"),
    ((Q, KV, KV), {"implementation": "flash"},
     "implementation must be one of auto, dense, blockwise, fused, got 'flash'"),
    ((Q, KV, KV), {"block_size": 0}, "block_size must be at least 1, got 0"),
])
def test_shapes_and_numbers(arrays, options, words):
    with pytest.raises(ValueError) as error:
        attention(*map(jnp.asarray, arrays), **options)
    assert str(error.value).startswith(words)


@pytest.mark.parametrize("arrays, options, words", [
    ((Q, KV.astype(np.float16), KV), {}, "q, k and v must be of one floating type, got float32, float16, float32"),
    ((Q.astype(np.int32), KV.astype(np.int32), KV.astype(np.int32)), {},
     "q, k and v must be of one floating type, got int32, int32, int32"),
    ((Q, KV, KV), {"mask": np.ones((1, 1, 3, 3), np.float32)},
     "mask must be of booleans, got float32; what is added to logits is bias"),
])
def test_types(arrays, options, words):
    with pytest.raises(TypeError) as error:
        attention(*map(jnp.asarray, arrays), **options)
    assert str(error.value) == words
