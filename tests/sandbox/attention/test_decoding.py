"""One token at a time gives the logits of the full pass; text goes on as the model says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import extend, generate, init_cache
from tests.sandbox.attention.models import APPLY, LENGTH, MODEL, PARAMS, TOKENS, VOCABULARY
from tests.sandbox.attention.problems import assert_close


@functools.partial(jax.jit, static_argnames=("model", "capacity"))
def one_by_one(params, tokens, model=MODEL, *, capacity):
    """Logits (B, T, V) by `extend`, and the last cache."""
    def step(cache, token):
        logits, cache = extend(model, params, token, cache)
        return cache, logits

    start = init_cache(model, batch_size=tokens.shape[0], capacity=capacity, dtype=jnp.float64)
    cache, logits = jax.lax.scan(step, start, tokens.T)
    return logits.swapaxes(0, 1), cache


def test_one_by_one_gives_the_logits_of_the_full_pass(float64):
    logits, cache = one_by_one(PARAMS, TOKENS, capacity=LENGTH)
    assert_close(logits, APPLY(MODEL, PARAMS, TOKENS))
    assert cache.length == LENGTH
    np.testing.assert_array_equal(cache.positions, np.arange(LENGTH))


def test_beyond_its_capacity_it_gives_those_of_a_window(float64):
    logits, cache = one_by_one(PARAMS, TOKENS, capacity=3)
    assert_close(logits, APPLY(MODEL.clone(window=3), PARAMS, TOKENS))
    np.testing.assert_array_equal(cache.positions, [6, 7, 5])  # position p stands at p mod 3


def test_a_model_s_own_window_holds_in_a_larger_cache(float64):
    model = MODEL.clone(window=2)
    assert_close(one_by_one(PARAMS, TOKENS, model, capacity=5)[0], APPLY(model, PARAMS, TOKENS))


PROMPT, MORE = TOKENS[:, :3], LENGTH - 2  # the last token drawn is never an input
GENERATE = jax.jit(functools.partial(generate, num_tokens=MORE, capacity=LENGTH),
                   static_argnames=("model", "temperature", "top_p"))


def test_at_temperature_zero_each_token_is_the_likeliest_after_all_before_it(float64):
    text = GENERATE(jax.random.key(0), MODEL, PARAMS, PROMPT, temperature=0.0)
    assert text.shape == (2, MORE) and text.dtype == jnp.int32
    logits = APPLY(MODEL, PARAMS, np.concatenate([PROMPT, text], axis=1)[:, :-1])
    np.testing.assert_array_equal(text, np.argmax(logits[:, PROMPT.shape[1] - 1:], axis=-1))
    np.testing.assert_array_equal(GENERATE(jax.random.key(1), MODEL, PARAMS, PROMPT, temperature=0.0), text)


def test_the_key_decides(float64):
    draw = functools.partial(GENERATE, model=MODEL, params=PARAMS, prompt=PROMPT)
    text = np.asarray(draw(jax.random.key(0)))
    np.testing.assert_array_equal(draw(jax.random.key(0)), text)
    assert not np.array_equal(draw(jax.random.key(1)), text)
    assert text.min() >= 0 and text.max() < VOCABULARY


def test_the_cache_takes_the_type_that_the_model_computes_in():
    """A cache of another type would not go round the loop."""
    for dtype in (None, jnp.bfloat16):
        text = jax.eval_shape(functools.partial(generate, model=MODEL.clone(dtype=dtype), num_tokens=MORE, capacity=2),
                              jax.random.key(0), params=jax.tree.map(np.float32, PARAMS), prompt=PROMPT)
        assert text.shape == (2, MORE)


@pytest.mark.parametrize("changes, words", [
    ({"prompt": PROMPT[:, :0]}, "prompt must be .* with at least one token, got the shape \\(2, 0\\)"),
    ({"prompt": PROMPT[0]}, "prompt must be .* with at least one token, got the shape \\(3,\\)"),
    ({"num_tokens": 0}, "num_tokens must be at least 1, got 0"),
    ({"capacity": 0}, "capacity must be at least 1, got 0"),
    ({"temperature": -1.0}, "temperature must be 0 or more and finite, got -1.0"),
    ({"temperature": float("inf")}, "temperature must be 0 or more and finite, got inf"),
    ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
    ({"top_p": 1.5}, r"top_p must be in \(0, 1\], got 1.5"),
])
def test_what_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        generate(jax.random.key(0), MODEL, PARAMS, **{"prompt": PROMPT, "num_tokens": 1, "capacity": 2, **changes})
