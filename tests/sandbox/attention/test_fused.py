"""The platforms' kernels: what each lacks, what is picked; and the TPU's, interpreted, is the formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from sandbox.attention import Pairs, attention
from sandbox.attention.dense import dense_attention
from sandbox.attention.dispatch import implementation_for
from sandbox.attention.fused import fused_attention, lacking
from tests.sandbox.attention.problems import assert_close


def shaped(*, dtype=jnp.bfloat16, length=256, size=64):
    return jax.ShapeDtypeStruct((1, length, 4, size), dtype)


TABLE = np.zeros((1, 1, 1, 1))
IDS = np.zeros((1, 256), int)


@pytest.mark.parametrize("platform, q, pairs, softcap, higher_order, missing", [
    ("cpu", shaped(), Pairs(), None, False, ("a kernel for cpu",)),
    ("gpu", shaped(), Pairs(), None, False, ()),
    ("gpu", shaped(dtype=jnp.float16), Pairs(causal=True, window=8), None, False, ()),
    ("gpu", shaped(), Pairs(), None, True, ("forward mode and second derivatives",)),
    ("gpu", shaped(), Pairs(mask=TABLE), None, False, ("a mask",)),
    ("gpu", shaped(), Pairs(segment_ids=IDS, key_segment_ids=IDS), None, False, ("key segments", "segments")),
    ("gpu", shaped(dtype=jnp.float32), Pairs(), None, False, ("float32 (it has float16 and bfloat16)",)),
    ("gpu", shaped(size=20), Pairs(), None, False, ("a head size of 20 (it has multiples of 8 up to 128)",)),
    ("gpu", shaped(size=256), Pairs(), None, False, ("a head size of 256 (it has multiples of 8 up to 128)",)),
    ("gpu", shaped(), Pairs(window=8), None, False, ("a window without causality",)),
    ("gpu", shaped(), Pairs(bias=TABLE), None, False, ("a bias with its gradient at any batch size",)),
    ("gpu", shaped(), Pairs(), 30.0, False, ("a soft cap",)),
    ("tpu", shaped(), Pairs(), None, False, ()),
    ("tpu", shaped(dtype=jnp.float32), Pairs(window=8, segment_ids=IDS), 30.0, False, ()),
    ("tpu", shaped(), Pairs(), None, True, ("forward mode and second derivatives",)),
    ("tpu", shaped(), Pairs(mask=TABLE), None, False, ("a mask",)),
    ("tpu", shaped(), Pairs(segment_ids=IDS, key_segment_ids=IDS), None, False, ("key segments",)),
    ("tpu", shaped(dtype=jnp.float16), Pairs(), None, False, ("float16 (it has float32 and bfloat16)",)),
    ("tpu", shaped(length=200), Pairs(), None, False, ("lengths of (200, 200) (it has multiples of 128)",)),
    ("tpu", shaped(), Pairs(bias=TABLE), None, False, ("a bias",)),
])
def test_what_is_lacking_is_named(platform, q, pairs, softcap, higher_order, missing):
    assert lacking(q, q, pairs, softcap=softcap, higher_order=higher_order, platform=platform) == missing


def test_fused_by_name_is_refused_where_something_is_lacking(monkeypatch):
    q = jnp.ones((1, 4, 1, 12))
    with pytest.raises(ValueError, match="the fused implementation lacks a kernel for cpu; blockwise has all"):
        attention(q, q, q, implementation="fused")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(ValueError, match=r"the fused implementation lacks forward mode and second derivatives, "
                                         r"float32 .*, a head size of 12 .*, a soft cap; blockwise has all"):
        attention(q, q, q, implementation="fused", softcap=1.0, higher_order=True)


def test_auto_is_fused_where_nothing_is_lacking_else_dense_for_short_and_blockwise_for_long():
    short, long = shaped(length=512), shaped(length=513)
    assert implementation_for(long, long, ()) == "fused"
    assert implementation_for(short, short, ("a mask",)) == "dense"
    assert implementation_for(long, short, ("a mask",)) == implementation_for(short, long, ("a mask",)) == "blockwise"


LENGTH = 128
RNG = np.random.default_rng(0)
Q, COTANGENT = RNG.normal(size=(2, 1, LENGTH, 2, 8)).astype(np.float32)
K, V = RNG.normal(size=(2, 1, LENGTH, 1, 8)).astype(np.float32)


@pytest.mark.parametrize("pairs, softcap", [
    (Pairs(causal=True, segment_ids=np.arange(LENGTH)[None] // 50), 2.0),
    (Pairs(window=20), None),
], ids=["causal, segments, soft cap", "window to both sides"])
def test_the_kernel_of_a_tpu_is_the_formula(pairs, softcap):
    """Two query heads read one of keys."""
    def evaluate(attend, **options):
        def projected(qkv):
            out = attend(*qkv, pairs, scale=0.3, softcap=softcap, **options)
            return jnp.sum(COTANGENT * out), out
        (_, out), gradient = jax.jit(jax.value_and_grad(projected, has_aux=True))((Q, K, V))
        return out, gradient

    assert_close(evaluate(fused_attention, platform="tpu", interpret=True), evaluate(dense_attention), 1e-5)


def test_the_kernel_of_a_tpu_lowers_with_its_gradient():
    def gradient(q, k, v):
        return jax.grad(lambda q: jnp.sum(fused_attention(
            q, k, v, Pairs(causal=True), scale=0.3, softcap=None, platform="tpu")))(q)

    exported = export.export(jax.jit(gradient), platforms=("tpu",))(Q, K, V)
    assert exported.platforms == ("tpu",) and "tpu_custom_call" in exported.mlir_module()
