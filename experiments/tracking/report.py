"""What the run tells at its end: errors by seed, whether the filter's claims are true, what noise it learned."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.tracking.problem import Problem, settled, truth
from sandbox.kalman import Filtered, Innovation, Smoothed, consistency

COMPONENTS = {"log_radar": ("range", "bearing", "range_rate"), "start": ("speed", "heading", "turn_rate")}


def metrics(problem: Problem, filtered: Filtered, smoothed: Smoothed) -> dict[str, np.ndarray]:
    """Each metric, (K,) for K runs stacked on a leading axis."""
    runs = range(filtered.accepted.shape[0])
    of_each = [_of_one(problem, *_nth((filtered, smoothed), k)) for k in runs]
    return {name: np.array([one[name] for one in of_each]) for name in of_each[0]}


def _of_one(problem: Problem, filtered: Filtered, smoothed: Smoothed) -> dict[str, float]:
    known, late = np.isfinite(truth(problem)[:, 0]), settled(problem)
    filter_error, smoother_error = (problem.seen(means) - truth(problem)
                                    for means in (filtered.updated.mean, smoothed.rows.mean))
    values: dict[str, float] = {}
    if problem.recording.landmarks is None:
        for prefix, suffix, error, rows in (("", "", filter_error, known), ("", "_settled", filter_error, known & late),
                                            ("smoothed_", "", smoother_error, known)):
            values |= {f"{prefix}rmse_{name}{suffix}": rms(error[rows, i]) for i, name in enumerate(problem.names)}
    else:
        values["rmse_position"] = rms(np.linalg.norm(filter_error[known], axis=1))
        values["smoothed_rmse_position"] = rms(np.linalg.norm(smoother_error[known], axis=1))
    innovation, claimed = measured(filtered), np.asarray(filtered.updated.covariance)[known, :2, :2]
    judged = _judge(innovation, filter_error[known, :2].astype(claimed.dtype), claimed)
    values |= {name: float(value) for name, value in judged.items()}
    values["nats_per_track"] = -float(np.sum(np.asarray(innovation.log_likelihood, np.float64)))
    return values


@jax.jit
def _judge(innovation: Innovation, position_error: jax.Array, claimed: jax.Array) -> dict[str, jax.Array]:
    position_nees = consistency.nees(position_error, claimed)
    two_ways = jnp.full(position_nees.shape, 2)
    return {"nis_in_band": consistency.in_band(innovation.nis, innovation.degrees),
            "nees_in_band": consistency.in_band(position_nees, two_ways),
            "innovation_autocorrelation": jnp.sum(consistency.autocorrelation(
                innovation.whitened, min(1, len(innovation.whitened) - 1)))}


def measured(filtered: Filtered) -> Innovation:
    """The innovations of the rows in which something was measured."""
    rows = np.asarray(filtered.innovation.degrees) > 0
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], filtered.innovation)


def learned(problem: Problem, params: Any) -> dict[str, np.ndarray]:
    """Params that could move, by name, logarithms undone: (K,) of each number."""
    numbers = {}
    for name, value, stride in zip(params._fields, params, problem.stride):
        values = np.exp(value) if name.startswith("log_") else np.asarray(value)
        columns = values.reshape(len(values), -1).T
        of_each = COMPONENTS.get(name, range(len(columns)) if len(columns) > 1 else [""])
        if stride:
            numbers |= {f"{name.removeprefix('log_')}_{part}".rstrip("_"): column
                        for part, column in zip(of_each, columns, strict=True)}
    return numbers


def speak(problem: Problem, params: Any) -> str:
    """What the first run learned, in words."""
    value = {name: float(numbers[0]) for name, numbers in learned(problem, params).items()}
    if problem.recording.landmarks is None:
        return ("Learned noise: lidar {lidar:.3f} m; radar {radar_range:.3f} m, {radar_bearing:.3f} rad, "
                "{radar_range_rate:.3f} m/s; acceleration {acceleration:.3f} m/s² per √Hz.".format(**value)
                + ("\nSpeed, heading and turn rate at the start were learned from the whole recording too; "
                   "--no-learn-start does without." if problem.stride.start else ""))
    return (f"Learned: ranges read {value['range_scale'] - 1:+.1%} long, with noise of {value['range']:.2f} m; wheels "
            f"{1 / value['speed_scale'] - 1:+.1%}; the gyroscope {-value['turn_bias']:+.4f} rad/s.")


def rms(values: np.ndarray) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else math.nan


def _nth(stacked: Any, k: int) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[k], stacked)
