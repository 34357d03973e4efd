"""Pictures of a track: where it went and how sure the filter was, its errors against its claims, its surprise."""

from collections.abc import Sequence

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.stats import chi2

from experiments.runner.figures import style
from experiments.tracking import report
from experiments.tracking.problem import Problem, truth
from sandbox.kalman import Filtered, Smoothed, consistency

STDS = 2  # half width of ellipses and bands, standard deviations


def track(problem: Problem, filtered: Filtered, smoothed: Smoothed) -> Figure:
    """The map: truth, measured positions or beacons, filter with ellipses, smoother."""
    recording, true = problem.recording, truth(problem)
    mean, covariance = np.asarray(filtered.updated.mean), np.asarray(filtered.updated.covariance)
    with plt.rc_context(style()):
        figure, axes = plt.subplots(figsize=(10, 6.5))
        known = np.isfinite(true[:, 0])
        axes.plot(*true[known, :2].T, color="black", linewidth=2.5, alpha=0.35, label="truth")
        if recording.landmarks is None:
            for sensor, name in enumerate(recording.sensors):
                rows = (recording.sensor == sensor) & recording.mask[:, :2].all(axis=1)
                axes.plot(*_measured_positions(name, recording.measurement[rows]).T, ".", markersize=3, alpha=0.6,
                          color=f"C{sensor + 2}", label=name)
        else:
            axes.plot(*recording.landmarks.T, "^", color="C3", markersize=9, label="beacons")
        axes.plot(*mean[:, :2].T, color="C0", linewidth=1, label="filter")
        axes.plot(*np.asarray(smoothed.rows.mean)[:, :2].T, color="C1", linewidth=1, label="smoother")
        axes.plot([], [], color="C0", alpha=0.5, linewidth=0.8, label=f"{STDS}σ of the filter")
        axes.set(title=f"Track, {recording.name}", xlabel="x, m", ylabel="y, m", aspect="equal")
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
        near = axes.inset_axes((1.08, 0.0, 0.65, 0.65))
        _close_up(axes, near, mean[:, :2], covariance[:, :2, :2])
        return figure


def _close_up(axes: Axes, near: Axes, mean: np.ndarray, covariance: np.ndarray) -> None:
    """The same lines around the middle row, where ellipses are large enough to be seen."""
    middle = len(mean) // 2
    width = 12 * np.sqrt(np.trace(covariance[middle]))
    for line in axes.get_lines():
        near.plot(*line.get_data(), color=line.get_color(), alpha=line.get_alpha(), marker=line.get_marker(),
                  linestyle=line.get_linestyle(), linewidth=line.get_linewidth(), markersize=line.get_markersize())
    for k in np.flatnonzero(np.all(np.abs(mean - mean[middle]) < width, axis=1)):
        near.add_patch(_ellipse(mean[k], covariance[k]))
    near.set(xlim=mean[middle, 0] + np.array([-width, width]), ylim=mean[middle, 1] + np.array([-width, width]),
             title="close up", aspect="equal")
    axes.indicate_inset_zoom(near)


def errors(problem: Problem, filtered: Filtered, smoothed: Smoothed) -> Figure:
    """Error of x and y over time, and what the filter and the smoother claimed of it."""
    time = problem.recording.time_seconds - problem.recording.start_seconds
    true = truth(problem)
    known = np.isfinite(true[:, 0])
    with plt.rc_context(style()):
        figure, panels = plt.subplots(2, 1, figsize=(9, 5), sharex=True)
        for axis, (panel, name) in enumerate(zip(panels, "xy")):
            for color, label, belief in (("C0", "filter", filtered.updated), ("C1", "smoother", smoothed.rows)):
                error = np.asarray(belief.mean)[known, axis] - true[known, axis]
                claimed = STDS * np.sqrt(np.asarray(belief.covariance)[known, axis, axis])
                panel.fill_between(time[known], -claimed, claimed, color=color, alpha=0.18, linewidth=0)
                panel.plot(time[known], error, color=color, linewidth=0.8, label=f"{label}, with its {STDS}σ")
            highest = np.quantile(np.abs(np.asarray(filtered.updated.mean)[known, axis] - true[known, axis]), 0.995)
            panel.set(ylabel=f"error of {name}, m", ylim=(-1.6 * highest, 1.6 * highest))
        panels[0].set_title("Error, and what was claimed of it")
        panels[0].legend(ncols=2)
        panels[1].set_xlabel("time, s")
        return figure


def surprise(problem: Problem, filtered: Filtered) -> Figure:
    """The NIS trace with its 95% band, its distribution, and the innovations' autocorrelation."""
    innovation = report.measured(filtered)
    degrees, nis = np.asarray(innovation.degrees), np.asarray(innovation.nis)
    rows = np.asarray(filtered.innovation.degrees) > 0
    time = (problem.recording.time_seconds - problem.recording.start_seconds)[rows]
    uniform = np.sort(chi2.cdf(nis, degrees))
    lags = min(25, len(nis) - 1)
    whiteness = jax.jit(consistency.autocorrelation, static_argnums=1)(innovation.whitened, lags)
    with plt.rc_context(style()):
        figure, panels = plt.subplots(1, 3, figsize=(12, 3.6), width_ratios=[2, 1, 1])
        lowest = max(nis.min(), 1e-4)
        for d in np.unique(degrees):
            those = degrees == d
            panels[0].plot(time[those], nis[those], ".", markersize=3, color=f"C{d}", label=f"{d} measured")
            limits = chi2.ppf([0.025, 0.975], d)
            panels[0].hlines(limits, time[0], time[-1], color=f"C{d}", linewidth=0.8)
            lowest = min(lowest, limits[0] / 2)
        panels[0].set(title="NIS, with the middle 95% of χ²", xlabel="time, s", ylabel="NIS", yscale="log",
                      ylim=(lowest, None))
        panels[0].legend(ncols=3, loc="lower right")
        panels[1].plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
        panels[1].plot(uniform, (np.arange(len(uniform)) + 0.5) / len(uniform))
        panels[1].set(title="Claimed against actual", xlabel="claimed P(NIS ≤ x)", ylabel="share of rows",
                      aspect="equal")
        noise = 2 / np.sqrt(degrees.sum())
        panels[2].axhspan(-noise, noise, color="black", alpha=0.1, linewidth=0)
        panels[2].bar(np.arange(1, lags + 1), whiteness, width=0.6)
        panels[2].set(title="Autocorrelation", xlabel="lag, measured rows")
        return figure


def learning(lines: Sequence[dict]) -> Figure:
    """The likelihood while the noise is learned, a line a seed."""
    with plt.rc_context(style()):
        figure, axes = plt.subplots(figsize=(5.5, 3.6))
        for run in sorted({line["run"] for line in lines}):
            own = [line for line in lines if line["run"] == run and line["loss"] is not None]
            axes.plot([line["step"] for line in own], [line["loss"] for line in own], label=run)
        finals = [line["loss"] for line in lines[-1:] if line["loss"] is not None]
        highest = max((line["loss"] for line in lines[len(lines) // 10 :] if line["loss"] is not None), default=1.0)
        if finals:
            axes.set_ylim(finals[0] - 0.05 * (highest - finals[0] + 1), highest)
        axes.set(title="Learning the noise", xlabel="step", ylabel="−log p(z), nats a track")
        axes.legend()
        return figure


def _measured_positions(sensor: str, measurement: np.ndarray) -> np.ndarray:
    """(R, 2) where a measurement alone would put the object."""
    if sensor == "radar":
        distance, bearing = measurement[:, :2].T
        return np.stack([distance * np.cos(bearing), distance * np.sin(bearing)], axis=1)
    return measurement[:, :2]


def _ellipse(mean: np.ndarray, covariance: np.ndarray) -> Ellipse:
    variances, axes = np.linalg.eigh(covariance)
    angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    width, height = 2 * STDS * np.sqrt(np.maximum(variances[::-1], 0))
    return Ellipse(tuple(mean), width, height, angle=angle, fill=False, color="C0", alpha=0.5, linewidth=0.8)
