"""What a moment of an environment looks like: (axes, observation, action) draws it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


def cartpole(axes: Axes, seen: np.ndarray, action: Any) -> None:
    """The cart on its track, the pole five times as long as it is, the push as an arrow."""
    x, _, angle, _ = seen
    axes.plot((-2.4, 2.4), (0, 0), color="gray", linewidth=0.8)
    axes.add_patch(_box(x - 0.4, -0.2, 0.8, 0.4))
    axes.plot((x, x + 2.5 * np.sin(angle)), (0.2, 0.2 + 2.5 * np.cos(angle)), color="C1", linewidth=3)
    _push(axes, x, 0.0, 1 if action == 1 else -1)
    axes.set(xlim=(-2.6, 2.6), ylim=(-0.6, 3.2))


def acrobot(axes: Axes, seen: np.ndarray, action: Any) -> None:
    """Both links, and the height that the tip has to reach."""
    first, second = np.arctan2(seen[1], seen[0]), np.arctan2(seen[3], seen[2])
    elbow = np.array([np.sin(first), -np.cos(first)])
    tip = elbow + np.array([np.sin(first + second), -np.cos(first + second)])
    axes.axhline(1, color="gray", linewidth=0.8, linestyle="--")
    axes.plot((0, elbow[0]), (0, elbow[1]), color="C0", linewidth=3)
    axes.plot((elbow[0], tip[0]), (elbow[1], tip[1]), color="C1", linewidth=3)
    axes.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))


def pendulum(axes: Axes, seen: np.ndarray, action: Any) -> None:
    """The rod, upright at the top, and its torque as a bar below."""
    axes.plot(0, 0, "o", color="gray", markersize=4)
    axes.plot((0, -seen[1]), (0, seen[0]), color="C1", linewidth=4)
    axes.plot((0, np.clip(action[0], -2, 2) / 2), (-1.3, -1.3), color="C0", linewidth=3)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.5, 1.3))


def mountain_car(axes: Axes, seen: np.ndarray, action: Any) -> None:
    """The valley, the car and the flag."""
    at = np.linspace(-1.2, 0.6, 100)
    axes.plot(at, np.sin(3 * at), color="gray", linewidth=0.8)
    axes.plot(0.45, np.sin(1.35) + 0.12, "^", color="C1")
    axes.plot(seen[0], np.sin(3 * seen[0]) + 0.06, "o", color="C0")
    _push(axes, seen[0], np.sin(3 * seen[0]) + 0.06, 0.4 * np.clip(action[0], -1, 1))
    axes.set(xlim=(-1.25, 0.65), ylim=(-1.15, 1.35))


def _box(x: float, y: float, width: float, height: float) -> Rectangle:
    return Rectangle((x, y), width, height, color="C0")


def _push(axes: Axes, x: float, y: float, force: float) -> None:
    axes.annotate("", (x + 0.9 * force, y), (x, y), arrowprops={"arrowstyle": "->", "color": "black"})


SCENES = {"CartPole-v1": cartpole, "Acrobot-v1": acrobot, "Pendulum-v1": pendulum,
          "MountainCarContinuous-v0": mountain_car}
