"""The platform's own kernel: cuDNN on a GPU, Pallas' splash attention on a TPU; and what each of them lacks."""

import jax
import jax.numpy as jnp

from sandbox.attention.pairs import Pairs

__all__ = ["fused_attention", "lacking"]

LANES = 128  # of a TPU's vector unit; splash attention cuts sequences by it


def lacking(q: jax.Array, k: jax.Array, pairs: Pairs, *, softcap: float | None, higher_order: bool,
            platform: str) -> tuple[str, ...]:
    """What is asked for that the fused kernel of a platform does not have, in words; empty where it has all.

    Neither kernel gives zeros to a query that may see nothing, so neither takes what could bring that about.

    Args:
      q: (B, T, N, H). k: (B, S, K, H). pairs, softcap: see `attention`.
      higher_order: whether forward mode or second derivatives are asked for.
      platform: "gpu", with cuDNN, "tpu", or the name of another, which has no kernel.
    Returns:
      Phrases, in a fixed order.

    >>> q = jax.ShapeDtypeStruct((1, 256, 4, 64), jnp.bfloat16)
    >>> lacking(q, q, Pairs(causal=True), softcap=None, higher_order=False, platform="gpu")
    ()
    >>> lacking(q, q, Pairs(causal=True), softcap=30.0, higher_order=True, platform="gpu")
    ('forward mode and second derivatives', 'a soft cap')
    """
    if platform not in ("gpu", "tpu"):
        return (f"a kernel for {platform}",)
    size, lengths = q.shape[3], (q.shape[1], k.shape[1])
    asked = [(higher_order, "forward mode and second derivatives"),
             (pairs.mask is not None, "a mask"),
             (pairs.key_segment_ids is not None, "key segments"),
             (0 in lengths, f"lengths of {lengths}")]
    if platform == "gpu":
        asked += [(q.dtype not in (jnp.float16, jnp.bfloat16), f"{q.dtype} (it has float16 and bfloat16)"),
                  (size % 8 or size > 128, f"a head size of {size} (it has multiples of 8 up to 128)"),
                  (pairs.window is not None and not pairs.causal, "a window without causality"),
                  (pairs.segment_ids is not None, "segments"),
                  (pairs.bias is not None, "a bias with its gradient at any batch size"),
                  (softcap is not None, "a soft cap")]
    else:
        asked += [(q.dtype not in (jnp.float32, jnp.bfloat16), f"{q.dtype} (it has float32 and bfloat16)"),
                  (any(length % LANES for length in lengths), f"lengths of {lengths} (it has multiples of {LANES})"),
                  (pairs.bias is not None, "a bias")]
    return tuple(phrase for condition, phrase in asked if condition)


def fused_attention(q: jax.Array, k: jax.Array, v: jax.Array, pairs: Pairs, *, scale: float, softcap: float | None,
                    platform: str, interpret: bool = False) -> jax.Array:
    """What `dense_attention` computes, by the platform's kernel.

    Args:
      q: (B, T, N, H). k, v: (B, S, K, H). pairs, scale, softcap: such that nothing is `lacking`.
      platform: "gpu" or "tpu". interpret: run the TPU's kernel on any platform, slowly, to test it.
    Returns:
      (B, T, N, H), the dtype of q.
    Source: jax.nn.dot_product_attention; jax.experimental.pallas.ops.tpu.splash_attention.

    >>> q = jax.random.normal(jax.random.key(0), (1, 128, 1, 8))
    >>> fused_attention(q, q, q, Pairs(), scale=1.0, softcap=None, platform="tpu", interpret=True).shape
    (1, 128, 1, 8)
    """
    if platform == "gpu":
        behind = None if pairs.window is None else (pairs.window - 1, 0)
        return jax.nn.dot_product_attention(q, k, v, scale=scale, is_causal=pairs.causal, local_window_size=behind,
                                            implementation="cudnn")
    return _splash(scale * q, k, v, pairs, softcap, interpret)


def _splash(q: jax.Array, k: jax.Array, v: jax.Array, pairs: Pairs, softcap: float | None,
            interpret: bool) -> jax.Array:
    from jax.experimental.pallas.ops.tpu import splash_attention as splash  # a tenth of all imports, for TPUs alone

    lengths = (q.shape[1], k.shape[1])
    if pairs.window is not None:
        before = pairs.window - 1
        mask = splash.LocalMask(lengths, (before, 0 if pairs.causal else before), 0)
    else:
        mask = splash.CausalMask(lengths) if pairs.causal else splash.FullMask(lengths)
    kernel = splash.make_splash_mha(splash.MultiHeadMask([mask] * q.shape[2]), head_shards=1, q_seq_shards=1,
                                    attn_logits_soft_cap=softcap, interpret=interpret)
    segments = None
    if pairs.segment_ids is not None:
        segments = splash.SegmentIds(pairs.segment_ids, pairs.segment_ids)
    out = jnp.asarray(jax.vmap(kernel)(*(array.swapaxes(1, 2) for array in (q, k, v)), segments))
    return out.swapaxes(1, 2).astype(q.dtype)
