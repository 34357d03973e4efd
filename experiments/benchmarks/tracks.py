"""Two problems that every Kalman filter can solve, simulated: one linear, one not.

Both sides of the benchmark read them from a file: what the state is, how it begins and which noise there is
stands in the arrays; the functions of motion and measurement are named in the docstrings.
"""

import numpy as np

DT_SECONDS = 0.05


def constant_velocity(num_tracks: int, num_steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """x m, y m and their velocities m/s; x and y are measured.

    p ← p + v Δt under white acceleration, z = p + noise.

    Args:
      num_tracks: B. num_steps: T, the first measured at the prior's own time.
    Returns:
      mean (4,), covariance (4, 4) of the state at the first measurement; F (4, 4); H (2, 4);
      Q (4, 4) of one step; R (2, 2); measurement (B, T, 2); dt_seconds ().

    >>> constant_velocity(3, 5)["measurement"].shape
    (3, 5, 2)
    """
    axis = np.array([[DT_SECONDS**3 / 3, DT_SECONDS**2 / 2], [DT_SECONDS**2 / 2, DT_SECONDS]])
    F, H = np.kron([[1, DT_SECONDS], [0, 1]], np.eye(2)), np.eye(2, 4)
    problem = {"mean": np.array([200.0, 0.0, 5.0, 0.0]), "covariance": np.diag([1.0, 1.0, 0.25, 0.25]),
               "Q": 0.25 * np.kron(axis, np.eye(2)), "R": 0.09 * np.eye(2)}
    measured = _simulate(problem, lambda x: x @ F.T, lambda x: x @ H.T, (num_tracks, num_steps), seed)
    return problem | {"F": F, "H": H, "measurement": measured, "dt_seconds": np.array(DT_SECONDS)}


def constant_turn(num_tracks: int, num_steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """x m, y m, speed m/s, heading rad and turn rate rad/s; range m, bearing rad and range rate m/s are measured.

    Along the chord of an arc, p ← p + v Δt sinc(ω Δt/2) (cos, sin)(ψ + ω Δt/2), ψ ← ψ + ω Δt; the radar is at
    the origin, z = (|p|, atan2(y, x), p·v / |p|) + noise. No bearing comes near ±π, where filters that know
    nothing of angles would go astray.

    Args:
      num_tracks: B. num_steps: T, the first measured at the prior's own time.
    Returns:
      mean (5,), covariance (5, 5) of the state at the first measurement; Q (5, 5) of one step; R (3, 3);
      measurement (B, T, 3); dt_seconds ().

    >>> bearing = constant_turn(3, 100)["measurement"][..., 1]
    >>> bool(np.abs(bearing).max() < 3)
    True
    """
    problem = {"mean": np.array([500.0, 0.0, 5.0, 0.0, 0.1]),
               "covariance": np.diag([1.0, 1.0, 0.25, 0.01, 0.0004]),
               "Q": DT_SECONDS * np.diag([0.02, 0.02, 0.1, 0.005, 0.02]) ** 2, "R": np.diag([0.3, 0.01, 0.2]) ** 2}
    measured = _simulate(problem, _turn, _radar, (num_tracks, num_steps), seed)
    if np.abs(measured[..., 1]).max() > 3:
        raise ValueError(f"seed {seed} drives an object around the radar: its bearings jump")
    return problem | {"measurement": measured, "dt_seconds": np.array(DT_SECONDS)}


def _simulate(problem, motion, observe, shape, seed):
    rng = np.random.default_rng(seed)
    num_tracks, num_steps = shape
    noise = {name: np.linalg.cholesky(problem[name]) for name in ("covariance", "Q", "R")}

    def drawn(name):
        return rng.standard_normal((num_tracks, len(noise[name]))) @ noise[name].T

    state = problem["mean"] + drawn("covariance")
    measured = [observe(state) + drawn("R")]
    for _ in range(num_steps - 1):
        state = motion(state) + drawn("Q")
        measured.append(observe(state) + drawn("R"))
    return np.stack(measured, axis=1)


def _turn(state):
    x, y, speed, heading, rate = state.T
    half = rate * DT_SECONDS / 2
    chord = speed * DT_SECONDS * np.sinc(half / np.pi)
    return np.stack([x + chord * np.cos(heading + half), y + chord * np.sin(heading + half), speed,
                     heading + 2 * half, rate], axis=1)


def _radar(state):
    x, y, speed, heading, _ = state.T
    distance = np.hypot(x, y)
    approach = speed * (x * np.cos(heading) + y * np.sin(heading)) / distance
    return np.stack([distance, np.arctan2(y, x), approach], axis=1)
