"""An extended Kalman filter, x̂ = f(x), F = ∂f/∂x, that learns its noise from what it measures.

The gradient of the likelihood teaches noise scales, calibration and constants of motion; nobody tells it where
the object was. Then it filters, smooths, and checks its own claims.
"""

import dataclasses
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from experiments.runner import devices, metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.finish import finish
from experiments.runner.loop import begin, train
from experiments.runner.meshes import require_axes, require_divisible
from experiments.runner.result import Result
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import EACH_RUN, Stage
from experiments.runner.summary import Reference
from experiments.tracking import figures, problem, report
from experiments.tracking.tracker import Tracker, filter_and_smooth
from sandbox.kalman import Tracks, negative_log_likelihood
from sandbox.training import init_state, step_of

NAME = "kalman"


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Sensor fusion."""

    steps: int = 100
    """Adam's steps on the negative log likelihood."""
    learning_rate: float = 0.1
    """Adam's first step, in the logarithm of a noise scale; it falls to 0 as a cosine."""
    update_iterations: int = 1
    """How often each measurement is expanded anew; 1 is the plain extended filter. With more, what is learned from
    is a score, and no longer a likelihood."""
    smoother_iterations: int = 3
    """Gauss-Newton iterations of the smoother over the whole track."""
    learn_start: bool = True
    """Learn speed, heading and turn rate at the start as well, from the whole recording; --no-learn-start: they may
    be anything."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        for flag in ("steps", "update_iterations", "smoother_iterations"):
            require(getattr(self, flag) >= 1, f"--{flag.replace('_', '-')}", "at least 1", getattr(self, flag))
        require(0 < self.learning_rate < math.inf, "--learning-rate", "positive and finite", self.learning_rate)
        require_axes(self)
        require_divisible(self, "--seeds", self.seeds)


PRESETS = {"quick": {}, "full": {"steps": 300}}

UKF = "best UKF of the course's students; rubric "
REFERENCE = {
    "lidar-radar": {
        "rmse_px": Reference(0.0655, UKF + "0.11"), "rmse_py": Reference(0.0818, UKF + "0.11"),
        "rmse_vx": Reference(0.1486, UKF + "0.52"), "rmse_vy": Reference(0.2085, UKF + "0.52"),
    },
    "range-beacons": {
        "rmse_position": Reference(0.40, "EKF told that ranges read long; 3.5 untold; odometry alone 31.6"),
    },
}


def run(config: Config = Config()) -> Result:
    """Read a recording, learn its noise, filter and smooth it, and judge the filter's claims."""
    task = read(config)
    with start(NAME, config, problem.fingerprint(task)) as work:
        [learn] = stages(config, task, work.mesh)
        params = train(work, learn).state.params
        estimate = partial(filter_and_smooth, task.model, update_iterations=config.update_iterations,
                           smoother_iterations=config.smoother_iterations)
        filtered, smoothed = begin(work, "filter and smooth", lambda params, track: jax.vmap(
            lambda one: estimate(one, track))(params), params, task.track, compiler_options=devices.SMALL_LOOPS)
        first = jax.tree.map(lambda leaf: leaf[0], (params, filtered, smoothed))
        return finish(
            work,
            metrics=report.metrics(task, filtered, smoothed) | report.learned(task, params),
            reference=REFERENCE.get(config.dataset, {}),
            drawn={"track": figures.track(task, *first[1:]), "errors": figures.errors(task, *first[1:]),
                   "surprise": figures.surprise(task, first[1]),
                   "learning": figures.learning(metrics.read(work.directory, "learn"))},
            learned={"params": first[0]._asdict()},
            model=tracker(config, task, first[0]._asdict()),
            sample=report.speak(task, params),
        )


def read(config: Config) -> problem.Problem:
    """The recording that the flags name, and its model."""
    return problem.read(config.dataset, config.data_dir, config.learn_start)


def stages(config: Config, task: problem.Problem, mesh: Mesh | None) -> tuple[Stage, ...]:
    """How seeds learn: Adam on the likelihood of the whole recording, each from a guess of its own."""
    optimizer = optax.chain(
        optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps)),
        optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, task.stride)))

    def loss(params, batch):
        return negative_log_likelihood(params, batch, model=task.model, num_iterations=config.update_iterations)

    def initial(keys):
        return jax.vmap(lambda key: init_state(problem.guess(task, key), optimizer, jax.random.key(0)))(keys)

    batch = Tracks(jax.tree.map(lambda leaf: leaf[None], task.track), jnp.ones(1))
    return (Stage("learn", initial, (seed_keys(config),), step_of(loss, optimizer, lambda key, batch: batch), (batch,),
                  num_steps=config.steps, chunk_steps=10, labels=seed_labels(config), state_rules=EACH_RUN,
                  compiler_options=devices.SMALL_LOOPS),)


def revive(config: Config, learned: dict[str, Any]) -> Tracker:
    """The tracker of a finished run, from what it learned."""
    return tracker(config, read(config), learned["params"])


def tracker(config: Config, task: problem.Problem, params: dict[str, Any]) -> Tracker:
    """The task's model with these params."""
    return Tracker(task.model, type(task.guess)(**params), config.update_iterations, config.smoother_iterations)
