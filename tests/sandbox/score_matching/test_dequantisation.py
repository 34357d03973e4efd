"""Counts made continuous: bins by numerical integration, scores by autodiff, and the bits of a known model."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox import score_matching
from sandbox.score_matching import bin_evidence, bin_slopes, binned, bits_per_dim, dequantised

BINS, SIGMA = 4, 0.7
PLACES = np.linspace(-2.0, 6.0, 9)


def _bayes(P, x, sigma):
    """E[y | x] by the trapezoid rule over each bin, of P(k) and y uniform in it."""
    y = np.linspace(0, BINS, 40_001)
    p = np.asarray(P)[np.minimum(y.astype(int), BINS - 1)] * np.exp(-0.5 * ((x - y) / sigma)**2)
    return np.trapezoid(y * p, y) / np.trapezoid(p, y)


def test_the_evidence_of_a_bin_is_its_share_of_the_noise(float64):
    found = bin_evidence(jnp.asarray(PLACES), jnp.full(len(PLACES), SIGMA), BINS)
    edges = np.arange(BINS + 1)
    cdf = stats.norm.cdf((edges[None] - PLACES[:, None]) / SIGMA)
    np.testing.assert_allclose(np.exp(found), np.diff(cdf, axis=1), rtol=1e-9, atol=1e-14)


def test_slopes_are_the_derivative_of_the_evidence(float64):
    def of_one(x):
        return bin_evidence(x[None], jnp.array([SIGMA]), BINS)[0]

    slopes = bin_slopes(jnp.asarray(PLACES), jnp.full(len(PLACES), SIGMA), BINS)[1]
    np.testing.assert_allclose(slopes / SIGMA, jax.vmap(jax.jacfwd(of_one))(jnp.asarray(PLACES)), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_a_network_that_knows_the_counts_gives_the_best_denoiser(float64, sigma):
    P = np.array([0.5, 0.05, 0.15, 0.3])
    score_fn = binned(lambda params, x, time: jnp.broadcast_to(params, (*x.shape, BINS)), num_bins=BINS,
                      sigma_data=1.0, mean=2.0)
    x = jnp.asarray(PLACES)[:, None]
    score = score_fn(jnp.log(P)[None, None], x, jnp.full(len(PLACES), sigma))
    best = [_bayes(P, place, sigma) for place in PLACES]
    np.testing.assert_allclose(score_matching.denoised_of_score(score, x, sigma)[:, 0], best, rtol=1e-4, atol=1e-4)


def test_logits_see_standardised_images_and_their_time():
    seen = {}

    def apply_fn(params, x, time, labels):
        seen.update(x=x, time=time, labels=labels)
        return jnp.zeros((*x.shape, BINS))

    x, labels = jnp.full((2, 3), 5.0), jnp.array([1, 0])
    binned(apply_fn, num_bins=BINS, sigma_data=3.0, mean=1.0)(None, x, jnp.array([4.0, 4.0]), labels)
    np.testing.assert_allclose(seen["x"], 4 / 5)
    np.testing.assert_allclose(seen["time"], math.log(4) / 4, rtol=1e-6)
    assert seen["labels"] is labels


@pytest.mark.parametrize("sigma", [1e-3, 0.05, 1.0, 50.0])
def test_all_is_finite_far_away_and_at_edges(sigma):
    x = jnp.array([0.0, 1.0, 0.5, -3.0, 40.0, -100 * sigma])
    evidence, slopes = bin_slopes(x, jnp.full(6, sigma), 17)
    assert np.all(np.isfinite(evidence)) and np.all(np.isfinite(slopes))
    low, high = (np.arange(17)[None] - x[:, None]) / sigma, (np.arange(1, 18)[None] - x[:, None]) / sigma
    assert np.all(slopes >= low) and np.all(slopes <= high), "a mean of what lies in a bin lies in it"


def test_bits_of_independent_counts_are_their_entropy(float64):
    """By the flow and its exact trace: as many bits as the counts have, for their density is flat in a bin."""
    P = np.array([0.5, 0.05, 0.15, 0.3])
    score_fn = binned(lambda params, x, time: jnp.broadcast_to(jnp.log(P)[None, None], (*x.shape, BINS)),
                      num_bins=BINS, sigma_data=1.3, mean=1.75)
    counts = np.repeat(np.arange(BINS), 25)
    x = dequantised(counts[:, None], (np.tile(np.arange(25), BINS)[:, None] + 0.5) / 25)
    found = score_matching.log_likelihood(
        jnp.asarray(x), score_fn=lambda x, level: score_fn(None, x, level), sigma_data=1.3, mean=1.75,
        levels=score_matching.geometric_levels(50, 1e-4, 100.0))
    bits = np.asarray(bits_per_dim(found.log_density, 1)).reshape(BINS, 25).mean(axis=1)
    np.testing.assert_allclose(bits, -np.log2(P), atol=4e-3)


@pytest.mark.parametrize("call, words", [
    (lambda: dequantised(jnp.zeros(2, int), jnp.zeros(3)),
     r"uniform must have the shape of counts, \(2,\), got \(3,\)"),
    (lambda: binned(None, num_bins=0, sigma_data=1.0, mean=0.0), "num_bins must be at least 1, got 0"),
    (lambda: binned(None, num_bins=2, sigma_data=0.0, mean=0.0), "sigma_data must be above 0, got 0.0"),
    (lambda: binned(lambda params, x, time: x, num_bins=2, sigma_data=1.0, mean=0.0)(None, jnp.ones((3, 1)),
                                                                                       jnp.ones(3)),
     r"apply_fn must return logits \(3, 1, 2\), got \(3, 1\)"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
