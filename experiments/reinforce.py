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
import jax.numpy as jnp
import numpy as np
import optax

import experiments
from experiments.acting import figures, in_gymnasium, report, variance
from experiments.acting.agent import Agent, agent_for, environment_of, revived
from experiments.acting.recipes import Recipe, recipe_for
from experiments.acting.watched import Watched, watched
from experiments.runner import metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.errors import UserError
from experiments.runner.finish import finish
from experiments.runner.loop import begin, train
from experiments.runner.result import Result
from experiments.runner.run import Run, start
from sandbox import reinforce, sharding
from sandbox.reinforce import EpisodicLearner

NAME = "reinforce"
GYMNASIUM = "gymnasium:"


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """An agent that acts."""

    env: str = "CartPole-v1"
    """CartPole-v1, Acrobot-v1, Pendulum-v1, MountainCarContinuous-v0, grid, bandit or regulator, to learn in; or
    gymnasium:NAME, to let the agent of --agent act there, which learns nothing."""
    seeds: int = 8
    """How many independent agents, trained together; each result is given for all of them."""
    steps: int | None = None
    """Of the environment, for each agent. This and the following eight, without it: what becomes the environment."""
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
        for flag in ("learning_rate", "reward_scale", "entropy_weight", "plain_learning_rate"):
            value = getattr(self, flag)
            require(value is None or 0 <= value < math.inf, f"--{flag.replace('_', '-')}", "0 or more, and finite",
                    value)
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

    @property
    def subject(self) -> str:
        """The environment."""
        return self.env


BASELINES = {"leave-one-out": reinforce.leave_one_out, "constant": reinforce.batch_mean,
             "none": reinforce.no_baseline}
PRESETS = {
    "quick": {},
    "full": {"seeds": 64, "plain_steps": 500_000, "plain_batches": 160, "evaluate_in_gym": True},
    "gpu": {"seeds": 256, "plain_steps": 0},
}


def run(config: Config = Config()) -> Result:
    """Learn in an environment by both ways, be judged in it, and show what was learned and by how noisy a gradient."""
    if config.env.startswith(GYMNASIUM):
        return act_in_gymnasium(config)
    environment, recipe = environment_of(config.env), recipe_for(config)
    if config.evaluate_in_gym:
        in_gymnasium.require_matching(environment.name, environment)
    seeds = range(config.seed, config.seed + config.seeds)
    labels = [f"seed {seed}" for seed in seeds]
    agent = agent_for(environment, config.widths)
    with start(NAME, config) as work:
        keys = jnp.stack([jax.random.key(seed) for seed in seeds])
        solved = solve(work, config, recipe, agent, keys, labels)
        plain = solve_plainly(work, config, agent, keys, labels) if config.plain_steps else None
        agent, judge = agent.with_params(solved.learner.params), partial(agent.judge, episodes=config.episodes)
        lines = {"solve": report.curves(metrics.read(work.directory, "solve"), recipe.batch_steps)}
        returns = {"": np.asarray(begin(work, "judge", judge, agent.params.policy))}
        if plain is not None:
            lines["plain"] = report.curves(metrics.read(work.directory, "plain"))
            returns["_plain"] = np.asarray(begin(work, "judge", judge, plain.params))
        if config.evaluate_in_gym:
            returns["gym"] = agent.play_in_gymnasium(environment.name, config.episodes, config.seed)
        early = jax.tree.map(lambda leaf: leaf[0], solved.early)
        noise = begin(work, "variance", partial(variance.by_baseline, agent, recipe), early)
        return finish(
            work,
            metrics=report.metrics(environment, returns, lines),
            reference=report.REFERENCE.get(environment.name, {}),
            drawn={"learning": figures.learning(lines, environment),
                   "variance": figures.variance(np.asarray(noise), recipe.steps // 10),
                   **figures.phase_plane(agent), "episode": figures.filmstrip(agent)},
            learned=agent.learned(),
            model=agent,
            sample=f"{config.seeds} agents of {agent.num_parameters:,} parameters, {recipe.steps:,} steps of "
                   f"{environment.name} each, judged on {config.episodes} episodes of their likeliest actions.\n",
        )


def solve(work: Run, config: Config, recipe: Recipe, agent: Agent, keys: jax.Array, labels: list[str]) -> Watched:
    """The policy gradient with a learned baseline, every agent at once."""
    num_batches = recipe.steps // recipe.batch_steps
    num_updates = num_batches * recipe.passes * recipe.minibatches
    optimizer = optax.adam(optax.linear_schedule(recipe.learning_rate, 0.0, num_updates), eps=1e-5)
    step = reinforce.actor_critic_step(
        agent.environment, agent.apply, agent.distribution, optimizer,
        num_steps=recipe.unroll, discount=recipe.discount, trace=recipe.trace, reward_scale=recipe.reward_scale,
        normalise=config.normalise, passes=recipe.passes, minibatches=recipe.minibatches, clip=config.clip,
        entropy_weight=config.entropy_weight)

    def initial(key: jax.Array) -> Watched:
        to_draw, to_learn = jax.random.split(key)
        params = agent.init(to_draw)
        return Watched(reinforce.init_learner(to_learn, params, optimizer, agent.environment,
                                              num_environments=recipe.environments), jax.tree.map(jnp.copy, params))

    states = placed(work, begin(work, "solve", jax.vmap(initial), keys))
    return train(work, "solve", watched(step, at=num_batches // 10), states, num_steps=num_batches,
                 chunk_steps=max(1, num_batches // 100), labels=labels).state


def solve_plainly(work: Run, config: Config, agent: Agent, keys: jax.Array, labels: list[str]) -> EpisodicLearner:
    """REINFORCE proper, every agent at once."""
    optimizer = optax.adam(config.plain_learning_rate, eps=1e-5)
    step = reinforce.monte_carlo_step(
        agent.environment, agent.apply.policy, agent.distribution, optimizer,
        num_episodes=config.plain_episodes, max_steps=config.plain_steps,
        baseline=BASELINES[config.plain_baseline], discount=config.plain_discount, entropy_weight=config.entropy_weight)

    def initial(key: jax.Array) -> EpisodicLearner:
        to_draw, to_learn = jax.random.split(key)
        return reinforce.init_episodic(to_learn, agent.init(to_draw).policy, optimizer)

    states = placed(work, begin(work, "plain", jax.vmap(initial), keys))
    return train(work, "plain", step, states, num_steps=config.plain_batches,
                 chunk_steps=max(1, config.plain_batches // 40), labels=labels).state


def placed(work: Run, states: Any) -> Any:
    """Agents divided over the mesh, if there is one."""
    if work.mesh is None:
        return states
    devices = work.mesh.shape.get("data", 0)
    require(devices > 0, "--mesh", "of an axis called data", work.config.mesh)
    require(work.config.seeds % devices == 0, "--seeds", f"a multiple of data={devices}", work.config.seeds)
    return sharding.place_batch(work.mesh, states)


def act_in_gymnasium(config: Config) -> Result:
    """Let the agents of a finished run act in an environment of gymnasium; nothing is learned."""
    name = config.env.removeprefix(GYMNASIUM)
    agent = experiments.load(config.agent).model
    if not isinstance(agent, Agent):
        raise UserError(f"--agent must be a finished run of {NAME}, got one of another experiment, {config.agent}")
    in_gymnasium.require_matching(name, agent.environment)
    config = dataclasses.replace(config, seed=0, seeds=agent.num)
    with start(NAME, config, str(config.agent.resolve())) as work:
        returns = agent.play_in_gymnasium(name, config.episodes, config.seed)
        return finish(
            work,
            metrics=report.metrics(agent.environment, {"gym": returns}, {}),
            reference=report.REFERENCE.get(agent.environment.name, {}),
            drawn={"returns": figures.returns(returns, name)},
            learned=agent.learned(),
            model=agent,
            sample=f"Agents of {config.agent}, which learned in {agent.environment.name}, in gymnasium's {name}.\n",
        )


def revive(config: Config, learned: dict[str, Any]) -> Agent:
    """The agents of a finished run, from what they learned."""
    return revived(learned)
