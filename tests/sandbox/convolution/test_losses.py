"""Cross-entropy of classes and squared error of maps: by a loop, by optax, and what weights and smoothing do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sandbox.convolution import Images, Maps, cross_entropy, squared_error

pytestmark = pytest.mark.usefixtures("float64")

RNG = np.random.default_rng(0)
ROWS, CLASSES = 4, 3
LOGITS = 2 * RNG.normal(size=(ROWS, CLASSES))
TARGETS = np.array([[0, 1, 0], [0.6, 0.4, 0], [1, 0, 0], [0, 0.1, 0.9]])
BATCH = Images(np.zeros((ROWS, 2, 2, 1)), TARGETS, np.array([1.0, 2.0, 0.0, 0.5]))
MAPS, TARGET_MAPS = RNG.normal(size=(2, ROWS, 2, 3, 2))
MAPPED = Maps(np.zeros((ROWS, 2, 3, 1)), TARGET_MAPS, RNG.integers(0, 3, (ROWS, 2, 3)).astype(float))


@functools.partial(jax.jit, static_argnames="label_smoothing")
def classified(logits, batch, label_smoothing=0.2):
    """Value, aux and gradient; the logits are the params."""
    (value, aux), slope = jax.value_and_grad(cross_entropy, has_aux=True)(
        logits, batch, apply_fn=lambda params, images: params, label_smoothing=label_smoothing)
    return value, aux, slope


@jax.jit
def mapped(maps, batch):
    (value, aux), slope = jax.value_and_grad(squared_error, has_aux=True)(
        maps, batch, apply_fn=lambda params, images: params)
    return value, aux, slope


def log_p(logits):
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def test_cross_entropy_is_a_plain_sum():
    value, aux, _ = classified(LOGITS, BATCH)
    smoothed = 0.8 * TARGETS + 0.2 / CLASSES
    np.testing.assert_allclose(value, np.average(-np.sum(smoothed * log_p(LOGITS), axis=1), weights=BATCH.weights))
    np.testing.assert_allclose(aux.nats, -np.sum(TARGETS * log_p(LOGITS), axis=1))
    correct = LOGITS.argmax(axis=1) == TARGETS.argmax(axis=1)
    assert 0 < correct.sum() < ROWS
    np.testing.assert_array_equal(aux.correct, correct)
    np.testing.assert_allclose(aux.accuracy, np.average(correct, weights=BATCH.weights))


def test_cross_entropy_is_optax_s():
    theirs = jax.jit(lambda: optax.safe_softmax_cross_entropy(LOGITS, optax.smooth_labels(jnp.asarray(TARGETS), 0.2)))()
    np.testing.assert_allclose(classified(LOGITS, BATCH)[0], np.average(theirs, weights=BATCH.weights))


def test_the_least_smoothed_loss_is_at_the_smoothed_target():
    """Where p is the target q = (1 − ε) y + ε/K, the gradient is zero, and the loss the entropy of q."""
    q = 0.8 * TARGETS + 0.2 / CLASSES
    value, _, slope = classified(np.log(q), BATCH)
    np.testing.assert_allclose(slope, 0, atol=1e-15)
    np.testing.assert_allclose(value, np.average(-np.sum(q * np.log(q), axis=1), weights=BATCH.weights))


def test_who_knows_nothing_pays_the_logarithm_of_the_classes():
    np.testing.assert_allclose(classified(0 * LOGITS, BATCH)[0], np.log(CLASSES))


def test_squared_error_is_a_plain_sum():
    value, aux, _ = mapped(MAPS, MAPPED)
    errors = np.sum((MAPS - TARGET_MAPS) ** 2, axis=-1)
    np.testing.assert_allclose(value, np.average(errors, weights=MAPPED.weights))
    np.testing.assert_allclose(aux.errors, errors)
    np.testing.assert_allclose(aux.rmse, np.sqrt(np.average(errors / 2, weights=MAPPED.weights)))


@pytest.mark.parametrize("evaluate, params, batch", [(classified, LOGITS, BATCH), (mapped, MAPS, MAPPED)],
                         ids=["cross_entropy", "squared_error"])
def test_what_has_no_weight_counts_nothing_and_without_any_there_is_nothing(evaluate, params, batch):
    nothing = batch.weights == 0
    assert nothing.any()
    value, aux, slope = evaluate(params, batch)
    absurd, other, same = evaluate(np.where(nothing[..., None], 1e6 * params, params), batch)
    np.testing.assert_allclose(absurd, value, rtol=1e-14)
    np.testing.assert_allclose(other[-1], aux[-1], rtol=1e-14)  # accuracy, or rmse
    np.testing.assert_allclose(same, slope, rtol=1e-14)
    assert not slope[nothing].any()
    value, aux, slope = evaluate(params, batch._replace(weights=0 * batch.weights))
    assert value == 0 and aux[-1] == 0 and not slope.any()


def test_the_network_gets_params_and_images():
    for loss, batch, out in ((cross_entropy, BATCH, LOGITS), (squared_error, MAPPED, MAPS)):
        received = []

        def apply_fn(*given, out=out, received=received):
            received.append(given)
            return jnp.asarray(out)

        loss("params", batch, apply_fn=apply_fn)
        assert received[0][0] == "params" and received[0][1] is batch.images and len(received) == 1


def test_logits_in_half_precision_are_summed_in_single():
    value, aux = cross_entropy(None, BATCH, apply_fn=lambda params, images: jnp.asarray(LOGITS, jnp.bfloat16))
    assert aux.nats.dtype == value.dtype == jnp.float64  # that of targets and weights
    np.testing.assert_allclose(value, classified(LOGITS, BATCH, 0.0)[0], rtol=2**-6)


@pytest.mark.parametrize("loss, batch, words", [
    (cross_entropy, BATCH._replace(weights=np.ones(3)), "got (4, 2, 2, 1), (4, 3) and (3,)"),
    (cross_entropy, BATCH._replace(images=BATCH.images[:3]), "got (3, 2, 2, 1), (4, 3) and (4,)"),
    (cross_entropy, BATCH._replace(targets=np.ones((4, 2, 3))), "got (4, 2, 2, 1), (4, 2, 3) and (4,)"),
    (squared_error, MAPPED._replace(weights=np.ones((ROWS, 2))), "got (4, 2, 3, 1), (4, 2, 3, 2) and (4, 2)"),
    (squared_error, MAPPED._replace(images=MAPPED.images[:3]), "got (3, 2, 3, 1), (4, 2, 3, 2) and (4, 2, 3)"),
    (squared_error, Maps(np.ones(4), np.ones(4), np.ones(())), "got (4,), (4,) and ()"),
])
def test_batches_that_do_not_fit_are_refused(loss, batch, words):
    with pytest.raises(ValueError, match="images, targets and weights must be") as error:
        loss(None, batch, apply_fn=lambda params, images: images)
    assert str(error.value).endswith(words)


def test_smoothing_that_cannot_be_is_refused():
    for smoothing in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got"):
            cross_entropy(LOGITS, BATCH, apply_fn=lambda params, images: params, label_smoothing=smoothing)
