"""A sound filter looks sound, one that lies about its noise does not; quantiles against SciPy's."""

import functools

import jax
import numpy as np
import pytest
from scipy.stats import chi2

from sandbox.kalman import consistency, simulate
from sandbox.kalman.innovation import Innovation
from tests.sandbox.kalman.problems import DRIFT, DRIFT_PARAMS, filter_of, track_of

pytestmark = pytest.mark.usefixtures("float64")

ROWS = 3000


@jax.jit
def in_band(innovation, probability=0.95):
    return consistency.in_band(innovation.nis, innovation.degrees, probability)


@functools.cache
def drawn():
    """A track of DRIFT, one row in ten missed."""
    rng = np.random.default_rng(0)
    blank = track_of(rng.uniform(0.2, 1.0, ROWS), np.zeros((ROWS, 1)), rng.random((ROWS, 1)) < 0.9)
    return jax.jit(lambda key: simulate.simulate(key, DRIFT, DRIFT_PARAMS, blank)[1])(jax.random.key(0))


def innovation(wrong_acceleration=1.0, wrong_position=1.0):
    """Of a filter that claims standard deviations wrong by these factors."""
    claimed = DRIFT_PARAMS._replace(log_acceleration=DRIFT_PARAMS.log_acceleration + np.log(wrong_acceleration),
                                    log_position=DRIFT_PARAMS.log_position + np.log(wrong_position))
    return filter_of(DRIFT, claimed, drawn()).innovation


def test_quantiles_are_scipys():
    d, p = np.arange(1, 10)[:, None], np.array([0.005, 0.025, 0.5, 0.95, 0.975, 0.995])[None]
    quantile = jax.jit(consistency.chi_square_quantile)
    np.testing.assert_allclose(quantile(p, d), chi2.ppf(p, d), rtol=1e-10)
    assert quantile(0.5, 0) == 0


def test_quantiles_in_single_precision_are_near():
    d, p = np.arange(1, 10)[:, None], np.array([0.025, 0.5, 0.975, 0.9999])[None]
    with jax.enable_x64(False):
        np.testing.assert_allclose(jax.jit(consistency.chi_square_quantile)(p, d), chi2.ppf(p, d), rtol=1e-3)


def test_gates_are_quantiles_by_number_of_components():
    np.testing.assert_allclose(consistency.gate_of(0.99, 3), [0, *chi2.ppf(0.99, [1, 2, 3])], rtol=1e-10)


def test_the_share_in_the_band_is_the_bands_probability():
    for probability in (0.95, 0.5):
        share = float(in_band(innovation(), probability))
        assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / (0.9 * ROWS))


def test_the_share_in_the_band_falls_where_noise_is_understated_or_overstated():
    assert in_band(innovation(wrong_position=0.5)) < 0.85  # R claimed four times too small
    assert in_band(innovation(wrong_acceleration=20.0, wrong_position=3.0)) < 0.9


def test_rows_without_measurements_are_not_in_the_count():
    some = Innovation(None, None, None, np.array([1.0, 0.0, 99.0, 0.0]), None, np.array([1, 0, 1, 0]))
    assert in_band(some) == 0.5


def test_innovations_of_a_sound_filter_are_white():
    lags = consistency.autocorrelation(innovation().whitened, 20)
    assert lags.shape == (20,)
    assert np.all(np.abs(lags) < 4 / np.sqrt(0.9 * ROWS))


def test_innovations_of_a_filter_that_trusts_its_motion_too_much_are_not():
    assert consistency.autocorrelation(innovation(wrong_acceleration=0.1).whitened, 3)[0] > 0.3


def test_there_are_no_more_lags_than_rows():
    assert consistency.autocorrelation(np.ones((1, 2)), 0).shape == (0,)
    with pytest.raises(ValueError, match="num_lags must be 0 to 2 for 3 rows, got 3"):
        consistency.autocorrelation(np.ones((3, 1)), 3)


def test_nees_is_the_quadratic_form():
    rng = np.random.default_rng(1)
    error, root = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2, 3, 3))
    covariance = root @ np.swapaxes(root, -1, -2)
    expected = np.einsum("...i,...ij,...j->...", error, np.linalg.inv(covariance), error)
    np.testing.assert_allclose(consistency.nees(error, covariance), expected, rtol=1e-9)
