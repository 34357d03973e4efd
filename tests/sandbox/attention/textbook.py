"""Attention as it is explained: one query, one key, one head at a time, in NumPy."""

import numpy as np


def attention(q, k, v, *, causal=False, window=None, segment_ids=None, key_segment_ids=None, mask=None, bias=None,
              softcap=None, scale=None):
    """Shapes as in `sandbox.attention.attention`."""
    batch, num_queries, heads, size = q.shape
    num_keys, key_heads = k.shape[1:3]
    scale = 1 / np.sqrt(size) if scale is None else scale
    rows = np.zeros((batch, num_queries)) if segment_ids is None else segment_ids
    columns = np.zeros((batch, num_keys)) if segment_ids is None else segment_ids
    columns = columns if key_segment_ids is None else key_segment_ids
    full = (batch, heads, num_queries, num_keys)
    mask = np.broadcast_to(True if mask is None else mask, full)
    bias = np.broadcast_to(0.0 if bias is None else bias, full)

    def may_see(b, n, i, j):
        if causal and j > i:
            return False
        if window is not None and abs(i - j) >= window:
            return False
        return rows[b, i] == columns[b, j] and mask[b, n, i, j]

    def logit(b, n, i, j):
        z = scale * np.dot(q[b, i, n], k[b, j, n // (heads // key_heads)])
        return (z if softcap is None else softcap * np.tanh(z / softcap)) + bias[b, n, i, j]

    out = np.zeros(q.shape)
    for b, i, n in np.ndindex(batch, num_queries, heads):
        seen = [j for j in range(num_keys) if may_see(b, n, i, j)]
        if seen:
            share = np.exp([logit(b, n, i, j) for j in seen])
            out[b, i, n] = share @ v[b, seen, n // (heads // key_heads)] / np.sum(share)
    return out
