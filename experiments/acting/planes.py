"""Two coordinates of a state over which a policy can be drawn, the others at rest."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Plane(NamedTuple):
    """labels, reach: of the two coordinates. state: (u, v) -> x of the dynamics. coordinates: (T, D) observations ->
    u and v, (T,) each."""

    labels: tuple[str, str]
    reach: tuple[tuple[float, float], tuple[float, float]]
    state: Callable[[float, float], list[float]]
    coordinates: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _angle(cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """With a gap where it jumps from π to −π."""
    angle = np.arctan2(sin, cos)
    angle[1:][np.abs(np.diff(angle)) > math.pi] = np.nan
    return angle


PLANES = {
    "CartPole-v1": Plane(("angle, rad", "angular velocity, rad/s"), ((-0.21, 0.21), (-2.0, 2.0)),
                         lambda u, v: [0.0, 0.0, u, v], lambda seen: (seen[:, 2], seen[:, 3])),
    "Pendulum-v1": Plane(("angle, rad; upright is 0", "angular velocity, rad/s"), ((-math.pi, math.pi), (-8.0, 8.0)),
                         lambda u, v: [u, v], lambda seen: (_angle(seen[:, 0], seen[:, 1]), seen[:, 2])),
    "Acrobot-v1": Plane(("angle of the first link, rad", "its angular velocity, rad/s"),
                        ((-math.pi, math.pi), (-4.0, 4.0)), lambda u, v: [u, 0.0, v, 0.0],
                        lambda seen: (_angle(seen[:, 0], seen[:, 1]), seen[:, 4])),
    "MountainCarContinuous-v0": Plane(("position", "velocity"), ((-1.2, 0.6), (-0.07, 0.07)),
                                      lambda u, v: [u, v], lambda seen: (seen[:, 0], seen[:, 1])),
}
