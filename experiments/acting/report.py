"""What agents reached, and after how many steps of the environment."""

from collections.abc import Mapping

import numpy as np

from experiments.runner.summary import Reference
from sandbox.reinforce import Environment

Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # by agent: steps of the environment, and return

SOLVED = {"CartPole-v1": 475.0, "Acrobot-v1": -100.0, "MountainCarContinuous-v0": 90.0}  # gymnasium's reward thresholds
REFERENCE = {
    "CartPole-v1": {
        "mean_return": Reference(500.0, "rl-baselines3-zoo, one agent: A2C in 500,000 steps, PPO 100,000, DQN 50,000"),
    },
    "Pendulum-v1": {
        "mean_return": Reference(-163.0, "rl-baselines3-zoo, one agent: A2C in 1,000,000 steps; PPO -172 in 100,000"),
    },
}


def metrics(environment: Environment, returns: Mapping[str, np.ndarray], curves: Mapping[str, Curves]
            ) -> dict[str, np.ndarray]:
    """By name, one value an agent, or one for all.

    Args:
      returns: (K, episodes) that agents were judged by: "" of the learned baseline, "_plain" of REINFORCE proper, "gym"
        in gymnasium. curves: of "solve" and "plain", see `curves`.
    """
    threshold, reached = SOLVED.get(environment.name), {}
    for which, own in returns.items():
        if which == "gym":
            reached["gym_mean_return"] = own.mean(axis=1)
            continue
        if threshold is not None:
            reached[f"solved_fraction{which}"] = (own.mean(axis=1) >= threshold).astype(float)
        reached[f"mean_return{which}"] = own.mean(axis=1)
        if threshold is not None:
            needed = steps_to(curves["plain" if which else "solve"], threshold)
            name = f"steps_to_{threshold:.0f}{which}"
            reached |= {name: needed, f"{name}_median": np.median(needed)[None], f"{name}_worst": needed.max()[None]}
    return reached


def curves(lines: list[dict], batch_steps: int | None = None) -> Curves:
    """Mean return while learning, of recent episodes, against steps of the environment, from lines of metrics.jsonl.

    Args:
      batch_steps: of the environment, in a step of the run; None where the lines tell what was used.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        used = line["steps_used"] if batch_steps is None else line["step"] * batch_steps
        found.setdefault(line["run"], []).append((used, line["return"]))
    return {run: tuple(np.array(points, float).T) for run, points in found.items()}


def steps_to(curves: Curves, threshold: float) -> np.ndarray:
    """Steps of the environment after which the return of recent episodes, drawn and not the likeliest, first reached a
    threshold: (K,), inf where it never did."""
    return np.array([steps[np.argmax(reached)] if (reached := returns >= threshold).any() else np.inf
                     for steps, returns in curves.values()])


def interquartile_mean(values: np.ndarray, rng: np.random.Generator, draws: int = 1000
                       ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the middle half over the first axis, and its 95% interval by the bootstrap over that axis.

    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".

    >>> mean, low, high = interquartile_mean(np.arange(8.0)[:, None], np.random.default_rng(0))
    >>> float(mean[0]), bool(low[0] < 3.5 < high[0])
    (3.5, True)
    """
    def middle(values: np.ndarray) -> np.ndarray:
        cut = values.shape[-2] // 4
        return np.sort(values, axis=-2)[..., cut:values.shape[-2] - cut, :].mean(axis=-2)

    drawn = middle(values[rng.integers(len(values), size=(draws, len(values)))])
    return middle(values), *np.quantile(drawn, (0.025, 0.975), axis=0)
