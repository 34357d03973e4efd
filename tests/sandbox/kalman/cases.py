"""The loss of the Kalman wing, on a robot among beacons, with params and a batch."""

import jax
import jax.numpy as jnp

from sandbox.kalman import Track, Tracks, losses, models
from tests.case import Case

TRACKS, ROWS = 2, 5
LANDMARKS = jnp.array([[0.0, 8.0], [6.0, -4.0]])
MODEL = models.range_beacons(LANDMARKS, jnp.zeros(3), start_std=(0.5, 0.5, 0.2))
PARAMS = models.RangeBeaconParams(*jnp.log(jnp.array([0.2, 0.1, 0.1])), jnp.array(1.0), jnp.array(0.05),
                                  jnp.log(0.5), jnp.array(1.1), jnp.array([0.2, -0.1]))
SEEN = Track(
    dt_seconds=jnp.full((TRACKS, ROWS), 0.5),
    control=jnp.broadcast_to(jnp.array([1.0, 0.2]), (TRACKS, ROWS, 2)),
    sensor=jnp.broadcast_to(jnp.arange(ROWS) % 2, (TRACKS, ROWS)),
    measurement=7.0 + jax.random.normal(jax.random.key(0), (TRACKS, ROWS, 1)),
    mask=jnp.broadcast_to(jnp.arange(ROWS) != 2, (TRACKS, ROWS))[:, :, None])
BATCH = Tracks(SEEN, jnp.ones(TRACKS))


def _seen(**changes):
    return BATCH._replace(rows=SEEN._replace(**changes))


EXTREMES = (
    (PARAMS, BATCH._replace(weight=jnp.zeros(TRACKS))),
    (PARAMS, _seen(mask=jnp.zeros_like(SEEN.mask))),
    (PARAMS, _seen(measurement=jnp.where(SEEN.mask, SEEN.measurement, jnp.nan))),
    (PARAMS, _seen(measurement=1e4 * SEEN.measurement)),
    (PARAMS, _seen(control=0 * SEEN.control)),
    (jax.tree.map(lambda leaf: 0 * leaf - 5, PARAMS), BATCH),
    (jax.tree.map(lambda leaf: 0 * leaf + 5, PARAMS), BATCH),
)

CASES = (
    Case(losses.negative_log_likelihood, PARAMS, BATCH, {"model": MODEL, "num_iterations": 1}, EXTREMES, (
        (ValueError, "weight must have one value per track, (2,), got (3,)",
         lambda: losses.negative_log_likelihood(PARAMS, BATCH._replace(weight=jnp.ones(3)), model=MODEL)),
        (ValueError, "num_iterations must be at least 1, got 0",
         lambda: losses.negative_log_likelihood(PARAMS, BATCH, model=MODEL, num_iterations=0)),
    )),
)
