"""What agents reached, and after how many steps of the environment."""

from collections.abc import Mapping

import numpy as np

from experiments.acting.variance import BASELINES
from experiments.runner.summary import Reference
from sandbox.reinforce import Environment
from sandbox.reinforce.actor_critic import EPISODES_REMEMBERED

Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # by agent: steps of the environment, and return

SOLVED = {"CartPole-v1": 475.0, "Acrobot-v1": -100.0, "MountainCarContinuous-v0": 90.0}  # gymnasium's reward thresholds
ZOO = {
    "CartPole-v1": Reference(500.0, "rl-baselines3-zoo, one agent: A2C in 500,000 steps, PPO 100,000, DQN 50,000"),
    "Pendulum-v1": Reference(-163.0, "rl-baselines3-zoo, one agent: A2C in 1,000,000 steps; PPO -172 in 100,000"),
}


def metrics(environment: Environment, returns: Mapping[str, np.ndarray], curves: Mapping[str, Curves]
            ) -> dict[str, np.ndarray]:
    """By name, one value an agent, or one for all.

    Args:
      returns: (K, episodes) that agents were judged by: of "solve", the learned baseline, of "plain", REINFORCE proper,
        and of "gymnasium", the agents of "solve" there. curves: of the first two, see `curves`.
    """
    threshold, reached = SOLVED.get(environment.name), {}
    for stage, own in returns.items():
        if stage == "gymnasium":
            reached["gym_mean_return"] = own.mean(axis=1)
            continue
        end = "" if stage == "solve" else f"_{stage}"
        if threshold is not None:
            reached[f"solved_fraction{end}"] = (own.mean(axis=1) >= threshold).astype(float)
        reached[f"mean_return{end}"] = own.mean(axis=1)
        if threshold is not None:
            needed = steps_to(curves[stage], threshold)
            name = f"steps_to_{threshold:.0f}{end}".replace("-", "minus_")
            reached |= {name: needed, f"{name}_median": np.median(needed)[None], f"{name}_worst": needed.max()[None]}
    return reached


def reference(name: str) -> dict[str, Reference]:
    """What others published of an environment, which they were judged on in gymnasium."""
    return {metric: ZOO[name] for metric in ("mean_return", "gym_mean_return") if name in ZOO}


def of_variance(values: np.ndarray) -> str:
    """The gradient's variance under each of BASELINES, as shares of the first."""
    shares = "; ".join(f"{name} {value / values[0]:.3f}" for name, value in zip(BASELINES, values))
    return f"Variance of one episode's gradient, a tenth of the way, over the first one's: {shares}."


def curves(lines: list[dict], batch_steps: int | None = None) -> Curves:
    """Mean return while learning, of recent episodes, against steps of the environment, from lines of metrics.jsonl.

    Args:
      batch_steps: of the environment, in a step of the run, of which the first lines, before there are episodes enough
        for a mean, are left out; None where the lines tell what was used, of which those are left out that used
        nothing, as their batch was thrown away.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        points = found.setdefault(line["run"], [])
        if batch_steps is None:
            if line["steps_used"] > (points[-1][0] if points else 0):
                points.append((line["steps_used"], line["return"]))
        elif line["episodes"] >= EPISODES_REMEMBERED:
            points.append((line["step"] * batch_steps, line["return"]))
    drawn = {run: np.array(points, float).reshape(-1, 2) for run, points in found.items()}
    return {run: (points[:, 0], points[:, 1]) for run, points in drawn.items()}


def steps_to(curves: Curves, threshold: float) -> np.ndarray:
    """Steps of the environment after which the return of recent episodes, drawn and not the likeliest, first reached a
    threshold: (K,), inf where it never did."""
    return np.array([steps[np.argmax(reached)] if np.any(reached := returns >= threshold) else np.inf
                     for steps, returns in curves.values()])


def interquartile_mean(values: np.ndarray, rng: np.random.Generator, draws: int = 500
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
