"""Cross-entropy of the next token: by a loop, by optax, and what weights, smoothing and the z-loss do."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sandbox.attention import Tokens
from sandbox.attention.losses import next_token_cross_entropy
from tests.sandbox.attention.problems import assert_close

pytestmark = pytest.mark.usefixtures("float64")

RNG = np.random.default_rng(0)
ROWS, LENGTH, VOCABULARY = 4, 3, 5
LOGITS = 2 * RNG.normal(size=(ROWS, LENGTH, VOCABULARY))
BATCH = Tokens(np.zeros((ROWS, LENGTH), int), RNG.integers(0, VOCABULARY, (ROWS, LENGTH)),
               np.array([[1.0, 0.0, 2.0], [1.0, 1.0, 1.0], [0.0, 3.0, 1.0], [1.0, 2.0, 0.5]]))
SETTINGS = {"label_smoothing": 0.2, "z_loss": 0.1}


@functools.partial(jax.jit, static_argnames=("label_smoothing", "z_loss"))
def value_and_grad(logits, batch, **settings):
    """The logits are the params."""
    return jax.value_and_grad(next_token_cross_entropy, has_aux=True)(
        logits, batch, apply_fn=lambda params, inputs, dropout: params, **settings)


def by_loop(logits, batch, label_smoothing, z_loss):
    total = 0.0
    for b, t in np.ndindex(*batch.targets.shape):
        log_partition = np.log(np.sum(np.exp(logits[b, t])))
        log_p = logits[b, t] - log_partition
        target = (1 - label_smoothing) * np.eye(VOCABULARY)[batch.targets[b, t]] + label_smoothing / VOCABULARY
        total += batch.weights[b, t] * (-target @ log_p + z_loss * log_partition**2)
    return total / np.sum(batch.weights)


def test_by_a_loop():
    (value, aux), _ = value_and_grad(LOGITS, BATCH, **SETTINGS)
    assert_close(value, by_loop(LOGITS, BATCH, **SETTINGS))
    assert_close(aux.bits, by_loop(LOGITS, BATCH, 0, 0) / np.log(2))
    np.testing.assert_array_equal(aux.correct, LOGITS.argmax(axis=-1) == BATCH.targets)
    assert_close(aux.log_partition, np.log(np.exp(LOGITS).sum(axis=-1)))


def test_by_optax():
    @jax.jit
    def theirs(logits):
        one_hot = jax.nn.one_hot(BATCH.targets, VOCABULARY, dtype=float)
        return (optax.softmax_cross_entropy(logits, optax.smooth_labels(one_hot, 0.2)),
                optax.softmax_cross_entropy_with_integer_labels(logits, BATCH.targets))

    smoothed, plain = theirs(LOGITS)
    (value, aux), _ = value_and_grad(LOGITS, BATCH, label_smoothing=0.2, z_loss=0.0)
    assert_close((value, aux.nats), (np.average(smoothed, weights=BATCH.weights), plain))


def test_who_knows_nothing_pays_the_logarithm_of_the_vocabulary():
    (value, aux), _ = value_and_grad(0 * LOGITS, BATCH)
    assert_close((value, aux.bits), (np.log(VOCABULARY), np.log2(VOCABULARY)), 1e-14)
    (smoothed, _), _ = value_and_grad(0 * LOGITS, BATCH, label_smoothing=0.2, z_loss=0.0)
    assert_close(smoothed, np.log(VOCABULARY), 1e-14)


def test_the_least_smoothed_loss_is_at_the_smoothed_target():
    """Where p is the target q = (1 − ε) y + ε/V, the gradient is zero, and the loss the entropy of q."""
    q = 0.8 * np.eye(VOCABULARY)[BATCH.targets] + 0.2 / VOCABULARY
    (value, _), gradient = value_and_grad(np.log(q), BATCH, label_smoothing=0.2, z_loss=0.0)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    assert_close(value, -q[0, 0] @ np.log(q[0, 0]))


def test_only_the_z_loss_sees_a_constant_on_the_logits():
    (plain, _), _ = value_and_grad(LOGITS, BATCH)
    assert_close(value_and_grad(LOGITS + 3.0, BATCH)[0][0], plain)
    normed = LOGITS - np.log(np.exp(LOGITS).sum(axis=-1, keepdims=True))
    assert_close(value_and_grad(normed + 3.0, BATCH, label_smoothing=0.0, z_loss=0.1)[0][0], plain + 0.1 * 3.0**2)


def test_a_batch_in_two_weighted_halves_is_the_whole():
    whole, _ = value_and_grad(LOGITS, BATCH, **SETTINGS)
    halves = [value_and_grad(LOGITS[rows], jax.tree.map(lambda leaf, rows=rows: leaf[rows], BATCH), **SETTINGS)[0]
              for rows in (slice(0, 2), slice(2, 4))]
    shares = [np.sum(BATCH.weights[rows]) / np.sum(BATCH.weights) for rows in (slice(0, 2), slice(2, 4))]
    assert shares[0] != shares[1]
    for of_whole, *of_halves in ((whole[0], halves[0][0], halves[1][0]),
                                 (whole[1].bits, halves[0][1].bits, halves[1][1].bits)):
        assert_close(of_whole, np.dot(shares, of_halves))


def test_a_token_of_weight_zero_counts_nothing_whatever_its_logits():
    nothing = BATCH.weights == 0
    assert nothing.any()
    value, gradient = value_and_grad(LOGITS, BATCH, **SETTINGS)
    absurd, slope = value_and_grad(np.where(nothing[..., None], 1e6 * LOGITS, LOGITS), BATCH, **SETTINGS)
    assert_close((absurd[0], absurd[1].bits, slope), (value[0], value[1].bits, gradient))
    assert not slope[nothing].any()


def test_a_batch_without_weight_is_zero_with_zero_gradient():
    (value, aux), gradient = value_and_grad(LOGITS, BATCH._replace(weights=np.zeros((ROWS, LENGTH))), **SETTINGS)
    assert value == 0 and aux.bits == 0 and not gradient.any()


def test_the_network_gets_params_inputs_and_dropout():
    received = []

    def apply_fn(*given):
        received.append(given)
        return jnp.zeros((ROWS, LENGTH, VOCABULARY))

    batch = BATCH._replace(dropout=np.ones(2))
    next_token_cross_entropy("params", batch, apply_fn=apply_fn)
    chex.assert_trees_all_equal(received[0][1:], (batch.inputs, batch.dropout))
    assert received[0][0] == "params"
