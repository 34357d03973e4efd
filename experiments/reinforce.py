"""An agent that learns from rewards alone: ∇ E[G] = E[(G − b) ∇ log π(a|s)], by whichever baseline b.

Two ways, every seed shown: the policy gradient with a learned baseline, several steps on each batch; and REINFORCE
proper, whole episodes, the others as baseline, no value network. Presets: quick, full, gpu.
"""

import dataclasses
import math
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

import experiments
from experiments.acting import figures, in_gymnasium, report, variance
from experiments.acting.agent import Agent, agent_for, environment_of, revived
from experiments.acting.learners import BASELINES, Plain, learned_baseline, reinforce_proper
from experiments.acting.recipes import recipe_for
from experiments.acting.watched import at_first, watched
from experiments.runner import metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.errors import UserError
from experiments.runner.finish import finish
from experiments.runner.loop import begin, heed_signals, spending, train
from experiments.runner.meshes import require_seeds_or, seeds_divide
from experiments.runner.result import Result
from experiments.runner.run import Run, start
from experiments.runner.seeds import judging_keys, seed_keys, seed_labels
from experiments.runner.stage import EACH_RUN, Stage

NAME = "reinforce"
GYMNASIUM = "gymnasium:"


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """An agent that acts."""

    env: str = "CartPole-v1"
    """CartPole-v1, Acrobot-v1, Pendulum-v1, MountainCarContinuous-v0, grid, bandit or regulator, to learn in; or
    gymnasium:NAME, to let the agents of --agent act there: nothing is learned, and only --episodes counts."""
    seeds: int = 8
    """How many independent agents, trained together; each result is given for all of them."""
    steps: int | None = None
    """Of the environment, for each agent. Where this or another flag is None, it is what suits the environment: see
    experiments/acting/recipes.py."""
    learning_rate: float | None = None
    """Adam's, of policy and value; it falls to 0 along a line."""
    discount: float | None = None
    """γ."""
    trace: float | None = None
    """λ of the advantages."""
    reward_scale: float | None = None
    """Factor of the rewards that are learned from."""
    environments: int | None = None
    """Side by side, for each agent."""
    unroll: int | None = None
    """Steps of each environment in a batch."""
    passes: int | None = None
    """Over each batch."""
    minibatches: int | None = None
    """Parts of each pass."""
    clip: float = 0.2
    """ε: what moves π/π_old further than this from 1 is not rewarded."""
    entropy_weight: float = 0.0
    """Of the policy's entropy, in the loss."""
    normalise: bool = True
    """Advantages of a batch to mean 0 and deviation 1."""
    widths: tuple[int, ...] = (64, 64)
    """Of the hidden layers, of policy and value."""
    plain_steps: int = 150_000
    """Of the environment, for each agent of REINFORCE proper; 0 leaves it out."""
    plain_batches: int = 60
    """Of whole episodes, at most."""
    plain_episodes: int = 10
    """Of a batch."""
    plain_baseline: str = "leave-one-out"
    """Of REINFORCE proper: leave-one-out, constant (the mean of the batch) or none."""
    plain_learning_rate: float = 0.01
    """Adam's; it falls to 0 along a line."""
    plain_discount: float = 1.0
    """γ of REINFORCE proper."""
    episodes: int = 100
    """Of the likeliest actions, that each agent is judged by."""
    evaluate_in_gym: bool = False
    """Judge the agents in gymnasium's own environment, too (extra gym)."""
    agent: Path = Path("runs/reinforce/latest")
    """Of gymnasium:NAME: the finished run whose agents act."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        require(self.dataset == "embedded", "--dataset", "embedded: what is learned from is chosen by --env",
                self.dataset)
        for flag in ("steps", "environments", "unroll", "passes", "minibatches", "plain_batches", "episodes"):
            value = getattr(self, flag)
            require(value is None or value >= 1, f"--{flag.replace('_', '-')}", "at least 1", value)
        for flag in ("discount", "trace", "plain_discount"):
            value = getattr(self, flag)
            require(value is None or 0 <= value <= 1, f"--{flag.replace('_', '-')}", "in [0, 1]", value)
        for flag in ("learning_rate", "entropy_weight", "plain_learning_rate"):
            value = getattr(self, flag)
            require(value is None or 0 <= value < math.inf, f"--{flag.replace('_', '-')}", "0 or more, and finite",
                    value)
        require(self.reward_scale is None or 0 < self.reward_scale < math.inf, "--reward-scale", "above 0, and finite",
                self.reward_scale)
        require(self.clip > 0, "--clip", "above 0", self.clip)
        require(all(width >= 1 for width in self.widths), "--widths", "each at least 1", self.widths)
        recipe = recipe_for(self)
        batch = f"{recipe.environments} environments x {recipe.unroll} steps"
        require(recipe.batch_steps % recipe.minibatches == 0, "--minibatches", f"a divisor of the batch, {batch}",
                recipe.minibatches)
        require(recipe.steps >= recipe.batch_steps, "--steps", f"at least a batch, {batch}", recipe.steps)
        require(self.plain_baseline in BASELINES, "--plain-baseline", f"one of {', '.join(BASELINES)}",
                self.plain_baseline)
        require(self.plain_steps >= 0, "--plain-steps", "0 or more", self.plain_steps)
        require(self.plain_episodes >= 2, "--plain-episodes", "at least 2", self.plain_episodes)
        if not self.env.startswith(GYMNASIUM):
            require_seeds_or(self, "--environments", recipe.environments)

    @property
    def subject(self) -> str:
        """The environment."""
        return self.env


PRESETS = {
    "quick": {},
    "full": {"seeds": 64, "plain_steps": 500_000, "plain_batches": 160},
    "gpu": {"seeds": 256, "plain_steps": 0},
}


def run(config: Config = Config()) -> Result:
    """Learn in an environment by both ways, be judged in it, and show what was learned and by how noisy a gradient."""
    if config.env.startswith(GYMNASIUM):
        return act_in_gymnasium(config)
    environment, recipe = environment_of(config.env), recipe_for(config)
    if config.evaluate_in_gym:
        in_gymnasium.require_matching(environment.name, environment)
    agent = read(config)
    with start(NAME, config) as work:
        solve, *plain = stages(config, agent, work.mesh)
        solved = train(work, solve).state
        agent = agent.with_params(solved.learner.params)
        judge = partial(begin, work, "judge", partial(agent.judge, episodes=config.episodes))
        to_judge = judging_keys(config)
        curves = {"solve": report.curves(metrics.read(work.directory, "solve"), recipe.batch_steps)}
        returns = {"solve": np.asarray(judge(agent.params.policy, to_judge))}
        for proper in plain:
            params = train(work, proper).state.params
            curves["plain"] = report.curves(metrics.read(work.directory, "plain"))
            returns["plain"] = np.asarray(judge(params, to_judge))
        if config.evaluate_in_gym:
            returns["gymnasium"] = in_gym(work, agent, environment.name, config.episodes)
        noise = np.asarray(begin(work, "variance", partial(variance.by_baseline, agent, discount=recipe.discount),
                                 jax.tree.map(lambda leaf: leaf[0], solved.early)))
        return finish(
            work,
            metrics=report.metrics(environment, returns, curves),
            reference=report.reference(environment.name),
            drawn={"learning": figures.learning(curves, environment),
                   "variance": figures.variance(noise, solve.num_steps // 10 * recipe.batch_steps),
                   **figures.phase_plane(agent), "episode": figures.filmstrip(agent)},
            learned=agent.learned(),
            model=agent,
            sample=f"{config.seeds} agents of {agent.num_parameters:,} parameters, "
                   f"{solve.num_steps * recipe.batch_steps:,} steps of {environment.name} each, judged on "
                   f"{config.episodes} episodes of their likeliest actions.\n{report.of_variance(noise)}\n",
        )


def act_in_gymnasium(config: Config) -> Result:
    """Let the agents of a finished run act in an environment of gymnasium; nothing is learned."""
    name = config.env.removeprefix(GYMNASIUM)
    learned = experiments.load(config.agent)
    agent = learned.model
    if not isinstance(agent, Agent):
        raise UserError(f"--agent must be a finished run of {NAME}, got one of another experiment, {config.agent}")
    require(config.mesh is None, "--mesh", "left out where nothing is learned", config.mesh)
    in_gymnasium.require_matching(name, agent.environment)
    config = dataclasses.replace(config, agent=learned.directory, seed=learned.config.seed, seeds=agent.num)
    with start(NAME, config, str(learned.directory)) as work:
        returns = in_gym(work, agent, name, config.episodes)
        return finish(
            work,
            metrics=report.metrics(agent.environment, {"gymnasium": returns}, {}),
            reference=report.reference(name),
            drawn={"returns": figures.returns(returns, name)},
            learned=agent.learned(),
            model=agent,
            sample=f"Agents of {config.agent}, which learned in {agent.environment.name}, in gymnasium's {name}.\n",
        )


def in_gym(work: Run, agent: Agent, name: str, episodes: int) -> np.ndarray:
    """Returns of every agent, in gymnasium's environment of that name."""
    heed = partial(heed_signals, work, "gymnasium", num_steps=agent.num)
    with spending(work, "gymnasium"):
        return agent.play_in_gymnasium(name, episodes, work.config.seed, heed)


def revive(config: Config, learned: dict[str, Any]) -> Agent:
    """The agents of a finished run, from what they learned."""
    return revived(learned)


def read(config: Config) -> Agent:
    """An agent for the environment that the flags name, which has not learned yet."""
    return agent_for(environment_of(config.env), config.widths, recipe_for(config).reward_scale)


def stages(config: Config, agent: Agent, mesh: Mesh | None) -> tuple[Stage, ...]:
    """How agents learn: with a baseline that learns beside, and, where it is asked for, by REINFORCE proper."""
    common = {"given": (seed_keys(config),), "data": (), "labels": seed_labels(config)}
    divided = EACH_RUN if seeds_divide(config) else ((r"\.under_way", PartitionSpec(None, "data")),)
    learning = learned_baseline(agent, recipe_for(config), normalise=config.normalise, clip=config.clip,
                                entropy_weight=config.entropy_weight)
    solve = Stage("solve", jax.vmap(lambda key: at_first(learning.initial(key))),
                  step=watched(learning.step, at=learning.num_steps // 10), num_steps=learning.num_steps,
                  chunk_steps=max(1, learning.num_steps // 100), state_rules=divided, **common)
    if not config.plain_steps:
        return (solve,)
    plain = Plain(config.plain_steps, config.plain_batches, config.plain_episodes, config.plain_learning_rate,
                  config.plain_baseline, config.plain_discount)
    proper = reinforce_proper(agent, plain, entropy_weight=config.entropy_weight)
    return solve, Stage("plain", jax.vmap(proper.initial), step=proper.step, num_steps=proper.num_steps, chunk_steps=1,
                        state_rules=divided, **common)
