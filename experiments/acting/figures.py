"""Pictures of agents: how they learned, how noisy their gradient was, what they do where, and one episode."""

from collections.abc import Mapping

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.acting import report
from experiments.acting.agent import Agent
from experiments.acting.planes import PLANES
from experiments.acting.scenes import SCENES
from experiments.acting.variance import BASELINES
from experiments.runner.figures import style
from sandbox.reinforce import Discrete, Environment

TITLES = {"solve": "Policy gradient, learned baseline", "plain": "REINFORCE proper"}
FRAMES = 8


def learning(lines: Mapping[str, report.Curves], environment: Environment) -> Figure:
    """Return against steps of the environment: every agent, and of four or more the interquartile mean with its
    interval; a curve that ends early goes on as it ended."""
    with plt.rc_context(style()):
        figure, axes = plt.subplots(1, len(lines), figsize=(4.6 * len(lines) + 0.6, 3.6), sharey=True, squeeze=False)
        for one, (stage, curves) in zip(axes[0], lines.items()):
            for steps, returns in curves.values():
                one.plot(steps, returns, color="gray", linewidth=0.5, alpha=0.5)
            drawn = [curve for curve in curves.values() if len(curve[0])]
            if len(drawn) >= 4:  # fewer have no middle half
                grid = np.linspace(max(steps[0] for steps, _ in drawn), max(steps[-1] for steps, _ in drawn), 100)
                values = np.stack([np.interp(grid, *curve) for curve in drawn])
                mean, low, high = report.interquartile_mean(values, np.random.default_rng(0))
                one.fill_between(grid, low, high, color="C0", alpha=0.3, linewidth=0)
                one.plot(grid, mean, color="C0", label=f"interquartile mean of {len(drawn)}, 95%")
            if environment.name in report.SOLVED:
                one.axhline(report.SOLVED[environment.name], color="C1", linewidth=0.9, linestyle="--", label="solved")
            one.set(title=TITLES[stage], xlabel=f"steps of {environment.name}")
            one.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:.0f}k")
            if one.get_legend_handles_labels()[0]:
                one.legend(loc="lower right")
        axes[0, 0].set_ylabel("return of recent episodes")
        return figure


def variance(values: np.ndarray, steps: int) -> Figure:
    """Variance of one episode's gradient under each of BASELINES, of one policy."""
    names = BASELINES
    with plt.rc_context(style()):
        figure, axes = plt.subplots(figsize=(6.4, 3))
        axes.barh(names, values, color=["C1" if name.startswith("none") else "C0" for name in names])
        for row, value in enumerate(values):
            axes.text(value, row, f" {value / values[0]:.3f}", va="center")
        axes.set(title=f"Variance of one episode's gradient, after {steps:,} steps", xscale="log",
                 xlabel="summed over all parameters; beside each, its share of the first")
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        return figure


def phase_plane(agent: Agent) -> dict[str, Figure]:
    """The first agent's policy and value over two coordinates of the state, and an episode of it there; nothing of an
    environment that has no such plane."""
    plane = PLANES.get(agent.environment.name)
    if plane is None:
        return {}
    u, v = (np.linspace(*reach, 101) for reach in plane.reach)
    x = np.stack([plane.state(a, b) for b in v for a in u]).astype(np.float32)
    seen = np.asarray(jax.vmap(agent.environment.observe)(x))
    drawn, words = _intent(agent, seen)
    path = plane.coordinates(agent.play().observations)
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(1, 2, figsize=(9.4, 3.8), sharey=True)
        for one, values, title, colors in ((axes[0], drawn, words, "RdBu_r"),
                                           (axes[1], agent.worth(seen), "Value", "viridis")):
            most = np.abs(values).max() if one is axes[0] else None
            shown = one.pcolormesh(u, v, values.reshape(len(v), len(u)), cmap=colors, rasterized=True,
                                   vmin=None if most is None else -most, vmax=most)
            figure.colorbar(shown, ax=one)
            one.plot(*path, color="black", linewidth=0.7)
            one.plot(*(line[0] for line in path), "o", color="black", markersize=4)
            one.set(title=title, xlabel=plane.labels[0], xlim=plane.reach[0], ylim=plane.reach[1])
        axes[0].set_ylabel(plane.labels[1])
        return {"phase_plane": figure}


def filmstrip(agent: Agent) -> Figure:
    """An episode of the first agent, from the first state that it acted in to the last."""
    steps = agent.play()
    moments = np.linspace(0, len(steps.rewards) - 1, FRAMES).round().astype(int)
    scene = SCENES.get(agent.environment.name)
    with plt.rc_context({**style(), "axes.grid": scene is None}):
        if scene is None:
            figure, axes = plt.subplots(figsize=(8, 3))
            axes.plot(steps.observations, marker=".")
            axes.set(xlabel="step", ylabel="observation")
        else:
            figure, all_axes = plt.subplots(1, FRAMES, figsize=(1.5 * FRAMES, 2.1))
            for axes, moment in zip(all_axes, moments):
                scene(axes, steps.observations[moment], steps.actions[moment])
                axes.set_title(f"step {moment}", fontsize=8, fontweight="normal")
                axes.set_aspect("equal")
                axes.axis("off")
        figure.suptitle(f"{agent.environment.name}: an episode of {len(steps.rewards)} steps, return "
                        f"{steps.rewards.sum():.1f}", fontsize=10)
        return figure


def returns(of_agents: np.ndarray, name: str) -> Figure:
    """Returns (K, episodes) in an environment of gymnasium, agent by agent."""
    with plt.rc_context(style()):
        figure, axes = plt.subplots(figsize=(7, 3.2))
        axes.boxplot(list(of_agents), positions=range(len(of_agents)), manage_ticks=False)
        axes.set(title=f"Returns in gymnasium's {name}", xlabel="agent", ylabel=f"of {of_agents.shape[1]} episodes")
        return figure


def _intent(agent: Agent, seen: np.ndarray) -> tuple[np.ndarray, str]:
    """What the first agent would do: a number for each observation, and what it says."""
    if isinstance(agent.environment.actions, Discrete):
        p = agent.probabilities(seen)
        return p @ np.linspace(-1, 1, p.shape[-1]), "Policy: mean action, −1 to 1"
    low, high = (np.asarray(bound) for bound in agent.environment.actions)
    return np.clip(agent.act(seen), low[None], high[None])[:, 0], "Policy: the action"
