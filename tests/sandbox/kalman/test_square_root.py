"""The two forms say the same in double precision; in single precision only the square root survives a hard problem."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import covariance, filter, small, smoother, square_root
from sandbox.kalman.linearise import Noise, Observation, Transition
from sandbox.kalman.losses import Tracks, negative_log_likelihood
from sandbox.kalman.model import Factored, Gaussian, linear_model
from tests.sandbox.kalman.problems import (
    BEACONS,
    BEACONS_PARAMS,
    BEACONS_TRACK,
    DRIFT,
    DRIFT_PARAMS,
    DRIFT_TRACK,
    assert_close,
    filter_of,
    track_of,
)

FORMS = (covariance, square_root)
RNG = np.random.default_rng(0)
MEAN, FACTOR = RNG.normal(size=3), np.tril(RNG.normal(size=(3, 3))) + 2 * np.eye(3)
MOTION = Transition(RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(3, 3)), RNG.normal(size=(3, 2)))
SEEN = np.tril(RNG.normal(size=(2, 2))) + np.eye(2)
MEASURED = Observation(RNG.normal(size=3), RNG.normal(size=2), RNG.normal(size=(2, 3)),
                       Noise(SEEN, SEEN @ SEEN.T, np.ones(2, bool)))
KNOWN = RNG.normal(size=3)


def gaussian(belief):
    """Either form's belief as mean and covariance."""
    return Gaussian(belief.mean, belief.covariance)


def test_filter_and_smoothers_agree(float64):
    """With an iterated update and a gate that turns some measurements away."""
    @jax.jit(static_argnames="form")
    def everything(params, track, form):
        filtered = filter.extended_kalman_filter(BEACONS, params, track, num_iterations=2, gate=jnp.array([0.0, 0.1]),
                                                 form=form)
        smoothed = smoother.extended_smoother(BEACONS, params, track, filtered, form=form)
        iterated = smoother.iterated_smoother(BEACONS, params, track, smoothed, num_iterations=3, form=form)
        beliefs = filtered.start, filtered.predicted, filtered.updated, *smoothed, *iterated
        return list(map(gaussian, beliefs)), filtered.innovation, filtered.accepted

    one, other = (everything(BEACONS_PARAMS, BEACONS_TRACK, form) for form in FORMS)
    assert one[2].any() and not one[2].all()
    assert_close(other, one, 1e-9)


def test_gradients_of_the_loss_agree(float64):
    batch = jax.tree.map(lambda leaf: leaf[None], Tracks(DRIFT_TRACK, np.array(1.0)))
    value_and_grad = jax.jit(jax.value_and_grad(
        lambda params, form: negative_log_likelihood(params, batch, model=DRIFT, form=form)[0]), static_argnums=1)
    assert_close(*(value_and_grad(DRIFT_PARAMS, form) for form in FORMS), 1e-9)


def precise_after_vague(dtype):
    """One position by two sensors to a centimetre, after a prior of a kilometre.

    S = 2²¹ [[1, 1], [1, 1]] + 2⁻¹⁴ I: the second part, without which S is singular, is lost in float32.
    """
    F, H = np.array([[1, 1], [0, 1]], dtype), np.array([[1, 0], [1, 0]], dtype)
    one = np.eye(2, dtype=dtype)
    model = linear_model(F, one / 2**7, H, one / 2**7, Factored(np.zeros(2, dtype), 2**10 * one))
    position = 30 - 2 * np.arange(8.0)
    return model, track_of(np.ones(8, dtype), np.stack([position, position], axis=1).astype(dtype),
                           np.ones((8, 2), bool))


def means_and_stds(form, dtype):
    model, track = precise_after_vague(dtype)
    belief = filter_of(model, None, track, form=form).updated
    with np.errstate(invalid="ignore"):
        return np.asarray(belief.mean), np.sqrt(np.diagonal(belief.covariance, axis1=1, axis2=2))


def test_in_single_precision_only_the_square_root_survives_a_precise_sensor_after_a_vague_prior():
    with jax.enable_x64(True):
        exact_mean, exact_std = means_and_stds(covariance, np.float64)
    mean, std = means_and_stds(square_root, np.float32)
    assert std.dtype == np.float32
    np.testing.assert_allclose(std, exact_std, rtol=0.01)
    assert np.all(np.abs(mean - exact_mean) < 0.1 * exact_std)
    mean, std = means_and_stds(covariance, np.float32)
    assert np.isnan(mean).all() and np.isnan(std).all()


class Moves(NamedTuple):
    """What one form makes of the same belief, motion and measurement, as Gaussians."""

    updated: Gaussian
    at_once: Gaussian
    in_turn: Gaussian
    predicted: Gaussian
    unchanged: Gaussian
    smoothed_by_certainty: Gaussian
    updated_by_certainty: Gaussian


@pytest.fixture(params=FORMS, ids=["covariance", "square root"])
def moves(request, float64):
    return _moves(request.param)


@functools.cache
def _moves(form):
    alone = Noise(np.diag([0.5, 2.0]), np.diag([0.25, 4.0]), np.ones(2, bool))
    motion = MOTION._replace(G=FACTOR.T)
    through_motion = Observation(MOTION.point, KNOWN - MOTION.value, MOTION.F,
                                 Noise(np.linalg.cholesky(FACTOR.T @ FACTOR), FACTOR.T @ FACTOR, np.ones(3, bool)))

    def component(k):
        one = slice(k, k + 1)
        noise = Noise(alone.factor[one, one], alone.covariance[one, one], alone.measured[one])
        return Observation(MEASURED.point, MEASURED.residual[one], MEASURED.H[one], noise)

    def every():
        belief = form.begin(Factored(MEAN, FACTOR))
        certain = form.begin(Factored(KNOWN, jnp.zeros((3, 3))))
        return tuple(map(gaussian, Moves(
            updated=form.update(belief, MEASURED)[0],
            at_once=form.update(belief, MEASURED._replace(noise=alone))[0],
            in_turn=form.update(form.update(belief, component(0))[0], component(1))[0],
            predicted=form.predict(belief, MOTION),
            unchanged=form.smooth(belief, form.predict(belief, motion), motion),
            smoothed_by_certainty=form.smooth(belief, certain, motion),
            updated_by_certainty=form.update(belief, through_motion)[0])))

    return Moves(*jax.jit(every)())


def test_update_adds_information(moves):
    """P⁻¹ ← P⁻¹ + Hᵀ R⁻¹ H, and P⁻¹ x likewise."""
    P, R, H = FACTOR @ FACTOR.T, MEASURED.noise.covariance, MEASURED.H
    information = np.linalg.inv(P) + H.T @ np.linalg.solve(R, H)
    pull = np.linalg.solve(P, MEAN) + H.T @ np.linalg.solve(R, MEASURED.residual + H @ MEASURED.point)
    assert_close(moves.updated, Gaussian(np.linalg.solve(information, pull), np.linalg.inv(information)), 1e-12)


def test_independent_components_may_come_one_after_another(moves):
    assert_close(moves.in_turn, moves.at_once, 1e-12)


def test_predict_is_a_linear_map_and_noise(moves):
    spread = np.hstack([MOTION.F @ FACTOR, MOTION.G])
    expected = Gaussian(MOTION.value + MOTION.F @ (MEAN - MOTION.point), spread @ spread.T)
    assert_close(moves.predicted, expected, 1e-12)


def test_smoothing_with_nothing_new_changes_nothing(moves):
    assert_close(moves.unchanged, Gaussian(MEAN, FACTOR @ FACTOR.T), 1e-12)


def test_smoothing_with_a_certain_future_is_measuring_it_through_the_motion(moves):
    assert_close(moves.smoothed_by_certainty, moves.updated_by_certainty, 1e-11)


@pytest.mark.parametrize("a", [
    RNG.normal(size=(4, 6)),                                  # wide
    RNG.normal(size=(4, 2)),                                  # of rank 2
    RNG.normal(size=(4, 4)) * [[1.0], [0.0], [1e-8], [1e8]],  # a row of zeros, and all sizes
    np.zeros((4, 3)),
], ids=["wide", "rank-deficient", "zero row", "zeros"])
def test_triangularize_keeps_the_product(a, float64):
    root = np.asarray(jax.jit(small.triangularize)(a))
    length = np.linalg.norm(a, axis=1)
    np.testing.assert_array_less(np.abs(root @ root.T - a @ a.T), 1e-14 * np.outer(length, length) + 1e-300)
    assert np.array_equal(root, np.tril(root)) and (np.diagonal(root) >= 0).all()


def test_triangularize_keeps_digits_that_squaring_loses():
    """Two rows apart by less than float32 can see in A Aᵀ, where they are the same row twice."""
    a = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1e-4]], np.float32)
    np.testing.assert_allclose(jax.jit(small.triangularize)(a)[1, 1], 1e-4, rtol=1e-2)
    assert np.linalg.matrix_rank(a @ a.T) == 1


def test_the_gradient_of_triangularize_is_that_of_the_product_and_finite_for_rows_of_zeros(float64):
    a, weight = RNG.normal(size=(3, 3, 5)), RNG.normal(size=(3, 3))
    a[1, 1], a[2] = 0, 0

    def through_the_root(a):
        root = small.triangularize(a)
        return jnp.sum(weight * small.product_transposed(root, root))

    slope = np.asarray(jax.jit(jax.vmap(jax.grad(through_the_root)))(a))
    assert np.isfinite(slope).all() and not slope[2].any()
    real = np.any(a, axis=2)
    np.testing.assert_allclose(slope[real], ((weight + weight.T) @ a)[real], rtol=1e-10, atol=1e-12)
