"""The extended Kalman filter as textbooks write it: a loop in NumPy, Jacobians by hand, nothing masked but left out."""

from typing import NamedTuple

import numpy as np

from tests.sandbox.kalman.problems import F, G, H, N


class Row(NamedTuple):
    """What the filter knew about a row; predicted mean and covariance, updated ones, NIS, log likelihood."""

    predicted_mean: np.ndarray
    predicted_covariance: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    nis: np.ndarray
    log_likelihood: np.ndarray


def filter_by_hand(mean, covariance, track, motion, measurement) -> Row:
    """Rows of the filter, stacked.

    motion: (x, dt) -> f(x), F, Q. measurement: (x, sensor, z) -> z − h(x) with angles wrapped, H, R.
    """
    x, P, rows = mean, covariance, []
    for k, dt in enumerate(track.dt_seconds):
        value, jacobian, Q = motion(x, dt)
        x, P = value, jacobian @ P @ jacobian.T + Q
        predicted, kept = (x, P), track.mask[k]
        residual, jacobian, R = measurement(x, track.sensor[k], track.measurement[k])
        residual, jacobian, R = residual[kept], jacobian[kept], R[np.ix_(kept, kept)]
        S = jacobian @ P @ jacobian.T + R
        K = P @ jacobian.T @ np.linalg.inv(S)
        x, P = x + K @ residual, P - K @ S @ K.T
        nis = residual @ np.linalg.solve(S, residual)
        rows.append((*predicted, x, P, nis, -0.5 * (nis + np.linalg.slogdet(2 * np.pi * S)[1])))
    return Row(*map(np.stack, zip(*rows)))


def linear_motion(x, dt):
    return F @ x, F, G @ G.T


def linear_measurement(x, sensor, z):
    return z - H @ x, H, N @ N.T


def turning(params):
    """The motion of `lidar_radar`, from the sines at both ends of the arc."""
    def motion(x, dt):
        px, py, v, psi, w = x
        after = psi + w * dt
        sines, cosines = np.sin(after) - np.sin(psi), np.cos(after) - np.cos(psi)
        value = np.array([px + v / w * sines, py - v / w * cosines, v, after, w])
        jacobian = np.eye(5)
        jacobian[0, 2:] = sines / w, v / w * cosines, v * dt / w * np.cos(after) - v / w**2 * sines
        jacobian[1, 2:] = -cosines / w, v / w * sines, v * dt / w * np.sin(after) + v / w**2 * cosines
        jacobian[3, 4] = dt
        white = np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        middle = psi + w * dt / 2
        along = np.array([[np.cos(middle), 0], [np.sin(middle), 0], [0, 1]])
        Q = np.zeros((5, 5))
        Q[:3, :3] = np.exp(params.log_acceleration) ** 2 * along @ white @ along.T
        Q[3:, 3:] = np.exp(params.log_turn_acceleration) ** 2 * white
        return value, jacobian, Q
    return motion


def lidar_or_radar(params):
    """The measurements of `lidar_radar`."""
    def measurement(x, sensor, z):
        px, py, v, psi, _ = x
        if sensor == 0:
            return z - np.array([px, py, 0]), np.eye(3, 5), np.exp(params.log_lidar) ** 2 * np.eye(3)
        rho, cos, sin = np.hypot(px, py), np.cos(psi), np.sin(psi)
        toward = px * cos + py * sin
        jacobian = np.array([
            [px / rho, py / rho, 0, 0, 0],
            [-py / rho**2, px / rho**2, 0, 0, 0],
            [v * (cos / rho - px * toward / rho**3), v * (sin / rho - py * toward / rho**3), toward / rho,
             v * (py * cos - px * sin) / rho, 0]])
        residual = z - np.array([rho, np.arctan2(py, px), v * toward / rho])
        residual[1] = np.arctan2(np.sin(residual[1]), np.cos(residual[1]))
        return residual, jacobian, np.diag(np.exp(params.log_radar) ** 2)
    return measurement
