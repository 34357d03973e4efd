"""The transformer: causal, blind to what its window hides, silent before it learns, and no larger than said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import Transformer
from sandbox.attention.networks import rms_norm, shifted
from tests.sandbox.attention.models import (
    APPLY,
    LENGTH,
    MODEL,
    PARAMS,
    SMALL,
    TOKENS,
    VOCABULARY,
    begun,
    drawn_params,
)
from tests.sandbox.attention.problems import assert_close


def replaced(params, path, leaf):
    """Params with another leaf at a path."""
    if not path:
        return leaf
    return {**params, path[0]: replaced(params[path[0]], path[1:], leaf)}


def test_logits_do_not_depend_on_later_tokens(float64):
    logits = APPLY(MODEL, PARAMS, TOKENS)
    assert logits.shape == (2, LENGTH, VOCABULARY)
    for t in (1, 4, LENGTH - 1):
        changed = np.where(np.arange(LENGTH)[None, :] >= t, (TOKENS + 1) % VOCABULARY, TOKENS)
        other = APPLY(MODEL, PARAMS, changed)
        assert_close(other[:, :t], logits[:, :t])
        assert (np.abs(other[:, t:] - logits[:, t:]).max(axis=-1) > 1e-3).all()


def test_it_begins_by_saying_nothing():
    assert not APPLY(SMALL, begun(), TOKENS).any()
    block = begun()["params"]["blocks_0"]
    assert not block["output"]["kernel"].any() and not block["down"]["kernel"].any()
    assert block["query"]["kernel"].any() and block["up"]["kernel"].any()


def test_the_default_model_is_within_the_budget_of_its_preset():
    shapes = jax.eval_shape(Transformer(num_tokens=65).init, jax.random.key(0), jnp.zeros((1, 64), int))
    embedding_and_head, block = 2 * 65 * 128, (4 + 2 * 4) * 128**2 + 2 * 128
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == embedding_and_head + 4 * block <= 810_000


def test_grouped_heads_are_heads_that_share_keys_and_values(float64):
    def repeated(path, leaf):
        if path[-2].key not in ("key", "value"):
            return leaf
        return leaf.reshape(16, 2, 1, 4).repeat(2, axis=2).reshape(16, 16)

    params = jax.tree_util.tree_map_with_path(repeated, PARAMS)
    assert_close(APPLY(MODEL.clone(num_key_heads=None), params, TOKENS), APPLY(MODEL, PARAMS, TOKENS))


def test_a_window_hides_what_is_further_back_and_positions_are_relative(float64):
    """One block of a window w sees back w − 1 by attention, and 1 by each of two shifts: here 3."""
    model = MODEL.clone(num_layers=1, window=2)
    params, tokens = drawn_params(model), np.tile(TOKENS[:, :4], (1, 2))
    logits = np.asarray(APPLY(model, params, tokens))
    other = np.where(np.arange(LENGTH)[None, :] == 0, (tokens + 1) % VOCABULARY, tokens)
    changed = np.asarray(APPLY(model, params, other))
    assert_close(changed[:, 4:], logits[:, 4:])
    assert (np.abs(changed[:, :4] - logits[:, :4]).max(axis=-1) > 1e-4).all()
    assert_close(logits[:, 7], np.asarray(APPLY(model, params, np.roll(tokens, 1, axis=1)))[:, 4])


@pytest.mark.parametrize("options", [{"window": LENGTH}, {"implementation": "blockwise"}], ids=["window", "blockwise"])
def test_options_that_change_nothing(options, float64):
    assert_close(APPLY(MODEL.clone(**options), PARAMS, TOKENS), APPLY(MODEL, PARAMS, TOKENS))


def test_dropout_multiplies_the_branches_each_by_its_own_factor(float64):
    ones = np.ones((2, 4, LENGTH, 16))
    logits = APPLY(MODEL, PARAMS, TOKENS)
    assert_close(APPLY(MODEL, PARAMS, TOKENS, ones), logits)
    for number, (block, name) in enumerate((block, name) for block in ("blocks_0", "blocks_1")
                                           for name in ("output", "down")):
        path = ("params", block, name, "kernel")
        factor = np.where(np.arange(4)[None, :, None, None] == number, 3.0, ones)
        kernel = PARAMS["params"][block][name]["kernel"]
        tripled = APPLY(MODEL, replaced(PARAMS, path, 3.0 * kernel), TOKENS)
        assert_close(APPLY(MODEL, PARAMS, TOKENS, factor), tripled)
        assert not np.allclose(tripled, logits)


def test_dropout_may_differ_by_row_token_and_component(float64):
    """All branches left out: only the last token counts, and rows that keep all are as they were."""
    factors = np.ones((2, 4, LENGTH, 16))
    factors[0] = 0
    logits = APPLY(MODEL, PARAMS, TOKENS, factors)
    assert_close(logits[1], APPLY(MODEL, PARAMS, TOKENS)[1])
    h = rms_norm(rms_norm(PARAMS["params"]["embedding"]["embedding"][TOKENS[0]]))
    assert_close(logits[0], h @ PARAMS["params"]["head"]["kernel"])


def test_in_bfloat16_logits_are_float32_and_near():
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), PARAMS)
    exact, low = (np.asarray(APPLY(MODEL.clone(dtype=dtype), params, TOKENS)) for dtype in (None, jnp.bfloat16))
    assert exact.dtype == low.dtype == np.float32
    error = np.sqrt(np.mean((low - exact) ** 2) / np.mean(exact**2))
    assert 1e-4 < error < 16 * 2**-9  # about sixteen roundings on the way, were all to add up


def test_norm_and_shift(float64):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    assert_close(rms_norm(x), x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6), 1e-14)
    np.testing.assert_array_equal(shifted(x), np.concatenate([np.zeros((2, 1, 4)), x[:, :-1]], axis=1))
    np.testing.assert_array_equal(shifted(x, np.ones((2, 4))), np.concatenate([np.ones((2, 1, 4)), x[:, :-1]], axis=1))


@pytest.mark.parametrize("changes, words", [
    ({"num_heads": 3}, "num_heads must divide the width of 16, got 3"),
    ({"num_heads": 0}, "num_heads must divide the width of 16, got 0"),
    ({"num_key_heads": 3}, "num_key_heads must divide the num_heads of 4, got 3"),
    ({"num_key_heads": 0}, "num_key_heads must divide the num_heads of 4, got 0"),
    ({"num_heads": 16, "num_key_heads": 16}, "a head size must be even to be turned in pairs, got 1"),
    ({"window": 0}, "window must be at least 1"),
    ({"implementation": "flash"}, "implementation must be one of"),
])
def test_what_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(MODEL.clone(**changes).init, jax.random.key(0), TOKENS)
