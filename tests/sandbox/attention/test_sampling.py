"""Samplers draw from the laws they state. Each chi-squared test fails a right sampler for one key in 10⁵."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox.attention import draw_blocks, draw_dropout, draw_token
from sandbox.attention.sampling import nucleus

CONTEXT, ROWS, TEXT = 4, 3, 40  # nine blocks, three batches of three an epoch
BLOCKS = jax.jit(functools.partial(draw_blocks, context=CONTEXT, batch_size=ROWS))
KEPT = jax.jit(lambda logits, top_p: jnp.isfinite(nucleus(logits, top_p)), static_argnames="top_p")
DRAWN = jax.jit(draw_token, static_argnames=("temperature", "top_p"))
LOGITS = np.log([0.4, 0.25, 0.2, 0.1, 0.05]).astype(np.float32)
DRAWS = 4000


def epoch(number):
    return np.concatenate([BLOCKS(jax.random.key(0), 3 * number + n, jnp.arange(TEXT)).inputs for n in range(3)])


def test_a_block_is_a_stretch_of_text_and_each_target_the_token_after():
    text = jax.random.randint(jax.random.key(1), (TEXT,), 0, 100)
    places, batch = (BLOCKS(jax.random.key(0), 5, tokens) for tokens in (jnp.arange(TEXT), text))
    np.testing.assert_array_equal(np.diff(places.inputs, axis=1), 1)
    np.testing.assert_array_equal(places.targets, places.inputs + 1)
    np.testing.assert_array_equal(batch.inputs, text[places.inputs])
    np.testing.assert_array_equal(batch.targets, text[places.targets])
    assert batch.weights.shape == (ROWS, CONTEXT) and (batch.weights == 1).all() and batch.dropout is None


def test_an_epoch_has_each_block_once_and_the_next_cuts_anew():
    epochs = [epoch(number) for number in range(30)]
    for blocks in epochs:
        tokens = np.sort(blocks.ravel())
        np.testing.assert_array_equal(tokens, np.arange(tokens[0], tokens[0] + 9 * CONTEXT))
    assert {blocks.min() for blocks in epochs} == {0, 1, 2, 3}  # but for a share of keys of 4 (3/4)³⁰ = 0.0007
    assert len({tuple(np.argsort(blocks[:, 0])) for blocks in epochs}) == 30  # of 9! orders


def test_the_key_and_the_step_decide():
    draw = functools.partial(BLOCKS, tokens=jnp.arange(TEXT))
    one = np.asarray(draw(jax.random.key(0), 2).inputs)
    np.testing.assert_array_equal(draw(jax.random.key(0), 2).inputs, one)
    assert not np.array_equal(draw(jax.random.key(1), 2).inputs, one)


def test_the_shortest_text_is_a_batch_and_a_block():
    shortest = (ROWS + 1) * CONTEXT
    assert BLOCKS(jax.random.key(0), 0, jnp.arange(shortest)).inputs.shape == (ROWS, CONTEXT)
    with pytest.raises(ValueError, match="a batch of 3 blocks of 4 tokens needs 16, got 15"):
        BLOCKS(jax.random.key(0), 0, jnp.arange(shortest - 1))


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    factors = jax.jit(functools.partial(draw_dropout, rate=0.25, batch_size=10, num_layers=2, context=20, width=10))(
        jax.random.key(0))
    assert factors.shape == (10, 4, 20, 10)
    np.testing.assert_allclose(np.unique(factors), [0, 4 / 3], rtol=1e-6)
    left_out = int(np.sum(np.asarray(factors) == 0))
    assert stats.binomtest(left_out, factors.size, 0.25).pvalue > 1e-5
    assert draw_dropout(jax.random.key(0), rate=0.0, batch_size=1, num_layers=1, context=1, width=1) is None
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), got"):
            draw_dropout(jax.random.key(0), rate=rate, batch_size=1, num_layers=1, context=1, width=1)


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.95])
def test_a_nucleus_is_the_fewest_likeliest_tokens_that_have_top_p(top_p):
    logits = 3 * np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
    kept, p = np.asarray(KEPT(logits, top_p)), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert kept[np.arange(50), p.argmax(axis=1)].all()
    assert (np.min(p, axis=1, where=kept, initial=1) > np.max(p, axis=1, where=~kept, initial=0)).all()
    mass = np.sum(p, axis=1, where=kept)
    assert (mass >= top_p - 1e-6).all()
    assert (mass - np.min(p, axis=1, where=kept, initial=1) < top_p + 1e-6).all()


def test_what_is_kept_is_as_it_was_and_equals_stay_together():
    logits = np.array([0.0, 2.0, 2.0, -1.0, 2.0], np.float32)
    np.testing.assert_array_equal(nucleus(logits, 0.1), np.where(logits == 2, 2, -np.inf))


def test_a_nucleus_of_everything_leaves_nothing_out():
    """Not even what is lost in the rounding of a sum of shares."""
    logits = np.array([0.0, -20.0, -60.0], np.float32)
    np.testing.assert_array_equal(nucleus(logits, 1.0), logits)


@pytest.mark.parametrize("temperature, top_p", [(1.0, 1.0), (0.5, 1.0), (2.0, 0.8)])
def test_tokens_follow_the_softmax_of_their_nucleus(temperature, top_p):
    share = np.exp(LOGITS.astype(float) / temperature)
    share /= share.sum()
    before = np.cumsum(share) - share  # they fall already
    share = np.where(before < top_p, share, 0)
    drawn = DRAWN(jax.random.key(0), jnp.broadcast_to(LOGITS, (DRAWS, 5)), temperature=temperature, top_p=top_p)
    counts = np.bincount(drawn, minlength=5)
    assert not counts[share == 0].any()
    kept = share > 0
    assert stats.chisquare(counts[kept], DRAWS * share[kept] / share.sum()).pvalue > 1e-5


def test_temperature_zero_and_a_tiny_nucleus_take_the_likeliest():
    logits = np.random.default_rng(1).normal(size=(50, 9)).astype(np.float32)
    for options in ({"temperature": 0.0}, {"top_p": 1e-6}):
        drawn = DRAWN(jax.random.key(0), logits, **options)
        np.testing.assert_array_equal(drawn, logits.argmax(axis=1))
        assert drawn.dtype == jnp.int32


@pytest.mark.parametrize("options, words", [
    ({"temperature": -0.5}, "temperature must be 0 or more and finite, got -0.5"),
    ({"temperature": float("nan")}, "temperature must be 0 or more and finite, got nan"),
    ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
    ({"top_p": 1.1}, r"top_p must be in \(0, 1\], got 1.1"),
])
def test_what_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        draw_token(jax.random.key(0), LOGITS, **options)
