"""The extended Kalman filter: against the textbook's loop, and what holds of masks, gates, angles and iterations."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import covariance, filter, linearise, square_root
from sandbox.kalman.model import Factored, Gaussian, Model, linear_model
from sandbox.kalman.track import Track
from tests.sandbox.kalman.problems import (
    BEACONS,
    BEACONS_PARAMS,
    DRIFT,
    DRIFT_PARAMS,
    DRIFT_TRACK,
    LIDAR_RADAR,
    LIDAR_RADAR_PARAMS,
    LIDAR_RADAR_TRACK,
    LINEAR,
    LINEAR_MEASUREMENT,
    LINEAR_TRACK,
    PRIOR,
    F,
    G,
    H,
    N,
    assert_close,
    filled,
    filter_of,
    track_of,
)
from tests.sandbox.kalman.textbook import (
    Row,
    filter_by_hand,
    lidar_or_radar,
    linear_measurement,
    linear_motion,
    turning,
)

pytestmark = pytest.mark.usefixtures("float64")


def row_of(filtered: filter.Filtered) -> Row:
    return Row(*filtered.predicted, *filtered.updated, filtered.innovation.nis, filtered.innovation.log_likelihood)


def test_a_loop_of_the_formulas_agrees_on_turns_masks_and_wrapped_bearings():
    params, track = LIDAR_RADAR_PARAMS, LIDAR_RADAR_TRACK
    start = np.asarray(LIDAR_RADAR.prior(params, track).mean), np.diag([100, 100, 5, 1.8, 0.5]) ** 2
    expected = filter_by_hand(*start, track, turning(params), lidar_or_radar(params))
    filtered = filter_of(LIDAR_RADAR, params, track)
    assert_close(row_of(filtered), expected)
    assert filtered.innovation.degrees.tolist() == track.mask.sum(axis=1).tolist()
    assert filtered.accepted.all()


def test_a_loop_of_the_formulas_agrees_where_errors_of_a_sensor_go_together():
    expected = filter_by_hand(PRIOR.mean, PRIOR.factor @ PRIOR.factor.T, LINEAR_TRACK,
                              linear_motion, linear_measurement)
    assert_close(row_of(filter_of(LINEAR, None, LINEAR_TRACK)), expected, 1e-12)


@pytest.mark.parametrize("num_iterations", [1, 2])
def test_on_a_linear_model_it_is_the_kalman_filter(num_iterations):
    track = LINEAR_TRACK
    elsewhere = np.arange(12.0).reshape(6, 2)  # a linear model is the same about any point
    expected = jax.jit(lambda track: filter.kalman_filter(
        PRIOR, *linearise.linearise(LINEAR, None, track, jnp.array([3.0, -7.0]), elsewhere)))(track)
    assert_close(filter_of(LINEAR, None, track, num_iterations=num_iterations), expected, 1e-12)


def test_a_component_never_measured_is_one_that_the_sensor_has_not():
    seen = track_of(np.ones(6), LINEAR_MEASUREMENT, np.tile([True, False], (6, 1)))
    masked = filter_of(LINEAR, None, filled(seen))
    without = filter_of(linear_model(F, G, H[:1], np.sqrt(N @ N.T)[:1, :1], PRIOR), None,
                        seen._replace(measurement=seen.measurement[:, :1], mask=seen.mask[:, :1]))
    assert_close(row_of(masked), row_of(without), 1e-12)


def test_a_row_without_measurements_only_predicts():
    filtered = filter_of(LIDAR_RADAR, LIDAR_RADAR_PARAMS, LIDAR_RADAR_TRACK)
    nothing = ~LIDAR_RADAR_TRACK.mask.any(axis=1)
    assert nothing.any()
    before, after = (jax.tree.map(lambda leaf: leaf[nothing], belief)
                     for belief in (filtered.predicted, filtered.updated))
    assert_close(after, before, 1e-15)
    assert not filtered.innovation.log_likelihood[nothing].any() and not filtered.innovation.nis[nothing].any()


def test_a_row_without_measurements_may_as_well_not_be_there():
    track = DRIFT_TRACK
    merged = jax.tree.map(lambda leaf: np.delete(leaf, 2, axis=0), track)
    merged.dt_seconds[2] += track.dt_seconds[2]
    every, fewer = (row_of(filter_of(DRIFT, DRIFT_PARAMS, some)) for some in (track, merged))
    assert_close(jax.tree.map(lambda leaf: np.delete(leaf, 2, axis=0), every)[2:], fewer[2:], 1e-12)


def test_what_is_not_measured_may_be_nan_to_the_value_and_to_the_gradient():
    @jax.jit
    def value_and_grad(params, track):
        return jax.value_and_grad(lambda p, z: jnp.sum(filter.extended_kalman_filter(
            DRIFT, p, track._replace(measurement=z)).innovation.log_likelihood), argnums=(0, 1))(
                params, track.measurement)

    assert np.isnan(DRIFT_TRACK.measurement).any()
    with_nan, with_zeros = (value_and_grad(DRIFT_PARAMS, track) for track in (DRIFT_TRACK, filled(DRIFT_TRACK)))
    chex.assert_tree_all_finite(with_nan)
    assert_close(with_nan, with_zeros, 0)
    assert not with_nan[1][1][2].any()  # and the gradient by what was not measured is 0


def test_the_iterated_update_is_the_most_probable_state_and_counts_the_measurement_once():
    spread = np.diag([0.4, 0.4, 0.3]) @ (np.eye(3) + 0.2)
    belief = Gaussian(np.array([2.0, 0.5, 0.3]), spread @ spread.T)
    row = Track(np.array(0.1), np.zeros(2), np.array(1), np.array([5.5]), np.array([True]))
    R = np.exp(BEACONS_PARAMS.log_range) ** 2

    def surprise(x, params):
        apart = row.measurement[0] - BEACONS.observe(params, x, row.sensor)[0]
        off = x - belief.mean
        return (apart**2 / R + off @ jnp.linalg.solve(belief.covariance, off)) / 2

    @jax.jit
    def iterate(params, belief, row):
        noise = linearise.noise_of(BEACONS, params, row.sensor, row.mask)
        updated = filter.update_iterated(BEACONS, params, belief, row, noise, num_iterations=8)[0]
        slopes = [jax.grad(surprise)(x, params) for x in (updated.mean, belief.mean)]
        return updated, linearise.observation_at(BEACONS, params, updated.mean, row, noise).H, slopes

    updated, jacobian, slopes = iterate(jax.tree.map(jnp.asarray, BEACONS_PARAMS), belief, row)
    assert np.linalg.norm(slopes[0]) < 1e-6 * np.linalg.norm(slopes[1])
    once = np.linalg.inv(np.linalg.inv(belief.covariance) + jacobian.T @ jacobian / R)
    assert_close(updated.covariance, once, 1e-6)


def test_the_gate_turns_an_outlier_away():
    track = LINEAR_TRACK._replace(measurement=LINEAR_TRACK.measurement.copy())
    track.measurement[4] = 1e3
    gated = filter_of(LINEAR, None, track, gate=np.array([0.0, 15.0, 20.0]))
    assert gated.accepted.tolist() == [True] * 4 + [False, True]
    assert gated.innovation.log_likelihood[4] == 0 and gated.innovation.nis[4] > 1e3
    assert_close(*(jax.tree.map(lambda leaf: leaf[4], belief) for belief in (gated.updated, gated.predicted)), 0)
    unseen = track._replace(mask=track.mask & (np.arange(6) != 4)[:, None])
    assert_close(row_of(gated)._replace(nis=0), row_of(filter_of(LINEAR, None, unseen))._replace(nis=0), 1e-12)


def test_a_gate_that_nothing_exceeds_changes_nothing():
    gated, free = (filter_of(LINEAR, None, LINEAR_TRACK, gate=gate) for gate in (np.array([0.0, 1e9, 1e9]), None))
    assert_close(gated, free, 1e-14)


def test_a_measurement_of_nan_is_never_swallowed():
    """Not even by a gate, to which it might look too surprising."""
    track = LINEAR_TRACK._replace(measurement=np.where(LINEAR_TRACK.mask, LINEAR_TRACK.measurement, 0.0))
    track.measurement[3] = np.nan
    gated = filter_of(LINEAR, None, track, gate=np.array([0.0, 15.0, 20.0]))
    assert np.isfinite(gated.updated.mean[:3]).all() and np.isnan(gated.updated.mean[3:]).all()


@pytest.mark.parametrize("change, words", [
    ({"gate": np.array([0.0, 9.0])}, r"gate must have 3 values, .* got shape \(2,\)"),
    ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
    ({"track": LINEAR_TRACK._replace(measurement=np.ones((6, 3)))}, r"measurement must have the shape \(6, 2\)"),
    ({"track": LINEAR_TRACK._replace(mask=np.ones((6, 1), bool))}, r"mask must have the shape \(6, 2\)"),
    ({"track": LINEAR_TRACK._replace(sensor=np.zeros(5, int))}, r"sensor must have the shape \(6,\)"),
    ({"track": LINEAR_TRACK._replace(control=np.zeros((7, 0)))}, r"control must have the shape \(6, 0\)"),
    ({"track": LINEAR_TRACK._replace(dt_seconds=np.ones((2, 6)))}, "dt_seconds must be of one track"),
])
def test_what_does_not_fit_is_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        filter.extended_kalman_filter(**{"model": LINEAR, "params": None, "track": LINEAR_TRACK} | change)


@pytest.mark.parametrize("form", [covariance, square_root])
def test_many_tracks_in_one_call_are_each_alone(form):
    tracks = jax.tree.map(lambda leaf: np.stack([leaf] * 3), LINEAR_TRACK)
    tracks = tracks._replace(measurement=tracks.measurement * np.array([1.0, -2.0, 9.0])[:, None, None])
    gate = np.array([0.0, 15.0, 20.0])
    together = jax.jit(jax.vmap(lambda track: filter.extended_kalman_filter(LINEAR, None, track, gate=gate, form=form)))
    together = together(tracks)
    assert not together.accepted.all()
    for k in range(3):
        alone = filter_of(LINEAR, None, jax.tree.map(lambda leaf, k=k: leaf[k], tracks), gate=gate, form=form)
        assert_close(jax.tree.map(lambda leaf, k=k: leaf[k], together), alone, 1e-12)


@pytest.mark.parametrize("first", [0, 1])
def test_the_prior_of_an_object_is_where_it_is_first_seen(first):
    """By lidar or by radar; rows that tell nothing are passed over."""
    sensor = np.array([0, first, 1 - first])
    seen = {0: [3.0, 4.0, 0.0], 1: [5.0, np.arctan2(4.0, 3.0), 1.0]}
    mask = np.array([[True, False, False], [True, True, first == 1], [True, True, first == 0]])
    track = track_of(np.full(3, 0.1), np.array([seen[s] for s in sensor]), mask, sensor=sensor)
    np.testing.assert_allclose(LIDAR_RADAR.prior(LIDAR_RADAR_PARAMS, track).mean[:2], [3.0, 4.0], rtol=1e-12)


def test_controls_reach_the_motion():
    """Odometry alone: the arcs of the controls, one after another."""
    rng = np.random.default_rng(2)
    dt, control = rng.uniform(0.1, 1.0, 8), rng.normal(1, 1, (8, 2))
    track = track_of(dt, np.zeros((8, 1)), np.zeros((8, 1), bool), control=control)
    params = BEACONS_PARAMS._replace(speed_scale=np.array(1.1), turn_bias=np.array(0.05))
    x, y, heading = 0.0, 0.0, 0.0
    for seconds, speed, turn_rate in zip(dt, 1.1 * control[:, 0], control[:, 1] + 0.05):
        turned = heading + turn_rate * seconds
        x += speed / turn_rate * (np.sin(turned) - np.sin(heading))
        y -= speed / turn_rate * (np.cos(turned) - np.cos(heading))
        heading = turned
    np.testing.assert_allclose(filter_of(BEACONS, params, track).updated.mean[-1], [x, y, heading], rtol=1e-12)


def test_bearings_of_plus_and_minus_pi_are_one():
    bearing = np.stack([np.array([5.0, angle, 0.0]) for angle in (np.pi, -np.pi, 3 * np.pi)])
    tracks = [LIDAR_RADAR_TRACK._replace(measurement=np.where(np.arange(10)[:, None] == 2, z, filled(
        LIDAR_RADAR_TRACK).measurement)) for z in bearing]
    assert LIDAR_RADAR_TRACK.sensor[2] == 1
    one, *others = (row_of(filter_of(LIDAR_RADAR, LIDAR_RADAR_PARAMS, track)) for track in tracks)
    assert one.nis[2] < 20
    for other in others:
        assert_close(other, one, 1e-9)


def test_two_tracks_of_one_shape_take_one_trace():
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(lambda track: filter.extended_kalman_filter(
        LINEAR, None, track).updated.mean, n=1))
    run(LINEAR_TRACK)
    run(LINEAR_TRACK._replace(measurement=LINEAR_TRACK.measurement + 1, mask=~LINEAR_TRACK.mask))


def test_no_iteration_is_refused():
    with pytest.raises(ValueError, match="num_iterations must be at least 1, got 0"):
        filter.extended_kalman_filter(LINEAR, None, LINEAR_TRACK, num_iterations=0)


def test_where_the_innovation_is_certain_everything_after_is_nan():
    certain = Model(*linear_model(F, 0 * G, H, 0 * N, Factored(PRIOR.mean, 0 * PRIOR.factor)))
    whole = LINEAR_TRACK._replace(measurement=np.ones((6, 2)), mask=np.arange(6)[:, None] + np.zeros(2, int) > 1)
    mean = filter_of(certain, None, whole).updated.mean
    assert np.isfinite(mean[:2]).all() and np.isnan(mean[2:]).all()
