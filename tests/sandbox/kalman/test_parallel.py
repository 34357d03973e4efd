"""Prefix sums give what the loop gives, in any number of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import filter, linearise, parallel, smoother
from sandbox.kalman.model import Gaussian
from tests.sandbox.kalman.problems import (
    BEACONS,
    BEACONS_PARAMS,
    BEACONS_TRACK,
    DRIFT,
    DRIFT_PARAMS,
    DRIFT_TRACK,
    assert_close,
)

pytestmark = pytest.mark.usefixtures("float64")


@jax.jit
def linear(track):
    """Filter and smoother of DRIFT, row by row and by prefix sums; its expansion is the same about any trajectory."""
    prior = DRIFT.prior(DRIFT_PARAMS, track)
    transitions, observations = linearise.linearise(DRIFT, DRIFT_PARAMS, track, prior.mean,
                                                    jnp.ones((len(track.mask), 2)))

    def run(filter_, smoother_):
        filtered = filter_(prior, transitions, observations)
        return filtered, smoother_(filtered, transitions)

    return run(filter.kalman_filter, smoother.rts_smoother), run(parallel.kalman_filter, parallel.rts_smoother)


@pytest.mark.parametrize("rows", [1, 5])
def test_a_linear_model_in_any_number_of_rows(rows):
    step_by_step, by_sums = linear(jax.tree.map(lambda leaf: leaf[:rows], DRIFT_TRACK))
    assert_close(by_sums, step_by_step, 1e-9)
    assert by_sums[0].innovation.log_likelihood.all() == (rows == 1)  # a row of DRIFT_TRACK measures nothing


@jax.jit(static_argnames="in_parallel")
def expand_once(params, track, smoothed, in_parallel):
    ways = {"filter_": parallel.kalman_filter, "smoother": parallel.rts_smoother} if in_parallel else {}
    return smoother.iterated_smoother(BEACONS, params, track, smoothed, num_iterations=1, **ways)


def test_a_nonlinear_model_about_any_trajectory_and_at_the_fixed_point_of_the_iterated_smoother():
    anywhere = np.linspace(0.5, 3.0, 27).reshape(9, 3)
    begin = smoother.Smoothed(*(Gaussian(mean, np.zeros((*mean.shape, 3))) for mean in (anywhere[0], anywhere[1:])))
    one = other = begin
    for expansion in range(40):
        before = one
        one, other = (expand_once(BEACONS_PARAMS, BEACONS_TRACK, some, in_parallel)
                      for some, in_parallel in ((one, False), (other, True)))
        if expansion == 0:
            assert_close(other, one, 1e-9)
    assert_close(one, before, 1e-9)
    assert_close(other, one, 1e-8)
