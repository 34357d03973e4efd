"""Our half of the filters' benchmark."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.side import compiled, serve, timed
from sandbox.kalman import covariance, motion, parallel, sensors, square_root
from sandbox.kalman.filter import extended_kalman_filter
from sandbox.kalman.linearise import linearise
from sandbox.kalman.model import Factored, Model
from sandbox.kalman.smoother import extended_smoother
from sandbox.kalman.track import Track


def linear(file, *, cases, repeats):
    """Constant velocity, position measured."""
    H = jnp.asarray(file["H"])
    model = _model(file, motion.constant_velocity, lambda state: H @ state)
    return _report(model, file, cases, repeats)


def nonlinear(file, *, cases, repeats):
    """Constant turn rate and velocity, seen by a radar."""
    def observe(state):
        heading = state[3]
        return sensors.range_bearing_rate(state[:2], state[2] * jnp.stack([jnp.cos(heading), jnp.sin(heading)]))

    def residual(sensor, measurement, predicted):
        apart = measurement - predicted
        return jnp.where(jnp.arange(3) == 1, sensors.wrap_angle(apart), apart)

    model = _model(file, motion.constant_turn, observe)._replace(residual=residual)
    return _report(model, file, cases, repeats)


def _model(file, move, observe):
    prior, G, N = (jnp.asarray(np.linalg.cholesky(file[name])) for name in ("covariance", "Q", "R"))
    return Model(
        prior=lambda params, track: Factored(jnp.asarray(file["mean"]), prior),
        motion=lambda params, state, control, dt_seconds: move(state, dt_seconds),
        motion_noise=lambda params, state, control, dt_seconds: jnp.where(dt_seconds > 0, G, 0),
        observe=lambda params, state, sensor: observe(state),
        observation_noise=lambda params, sensor: N)


def _report(model, file, cases, repeats):
    """For each case: seconds to compile, seconds a call, log-likelihood."""
    tracks = _tracks(file)
    one = jax.tree.map(lambda rows: rows[0], tracks)

    def filter_(track, form=covariance):
        filtered = extended_kalman_filter(model, None, track, form=form)
        return jnp.sum(filtered.innovation.log_likelihood), filtered.updated

    def smooth(track):
        filtered = extended_kalman_filter(model, None, track)
        return jnp.sum(filtered.innovation.log_likelihood), extended_smoother(model, None, track, filtered).rows

    def in_parallel(track):  # exact for the linear problem; of the other, one pass about a trajectory that stands still
        start = model.prior(None, track)
        trajectory = jnp.broadcast_to(start.mean[None], (len(track.sensor), len(start.mean)))
        filtered = parallel.kalman_filter(start, *linearise(model, None, track, start.mean, trajectory))
        return jnp.sum(filtered.innovation.log_likelihood), filtered.updated

    functions = {"filter": (filter_, one), "square_root": (lambda track: filter_(track, square_root), one),
                 "smoother": (smooth, one), "parallel": (in_parallel, one), "many": (jax.vmap(filter_), tracks)}
    report = {}
    for case in cases:
        function, arguments = functions[case]
        compile_seconds, run = compiled(function, arguments)
        (_, (log_likelihood, _)), *runs = [timed(run, arguments) for _ in range(repeats + 1)]
        report[case] = {"compile_seconds": compile_seconds, "seconds": [seconds for seconds, _ in runs],
                        "log_likelihood": float(jnp.sum(log_likelihood))}
    return report


def _tracks(file):
    z = file["measurement"]
    rows = z.shape[:2]
    dt_seconds = np.full(rows, file["dt_seconds"])
    dt_seconds[:, 0] = 0  # the prior is at the first measurement
    return Track(dt_seconds, np.zeros((*rows, 0)), np.zeros(rows, np.int32), z, np.ones(z.shape, bool))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    serve({"linear": linear, "nonlinear": nonlinear})
