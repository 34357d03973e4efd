"""The score ∇ log p of noised data, by estimators that are all of one thing; samples of it, and exact likelihoods.

Points of a plane whose density is known, or digits, or clothes. Presets: quick, full, and gpu, which wants an
accelerator.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.data import image_sets
from experiments.diffusing import report
from experiments.diffusing.diffuser import Diffuser
from experiments.diffusing.learning import learning
from experiments.diffusing.objectives import OBJECTIVES, WEIGHTINGS, objective
from experiments.diffusing.pictures import picture_diffuser, pictures
from experiments.diffusing.points import PLANES, point_diffuser, points
from experiments.diffusing.recipes import recipe_for, recipe_of
from experiments.diffusing.sampling import SAMPLERS
from experiments.diffusing.subject import Subject
from experiments.runner import metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.finish import finish
from experiments.runner.loop import train
from experiments.runner.meshes import require_seeds_or, seeds_divide
from experiments.runner.result import Result
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import EACH_RUN, Stage
from sandbox import score_matching

NAME, USUAL = "score_matching", ("denoising",)


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A score, and what is made of it."""

    dataset: str = "mixture"
    """What to learn: mixture, eight Gaussians on a circle, which is embedded, too; two-moons, checkerboard, swiss-roll;
    or images, which are digits, fashion-mnist, mnist, cifar-10, or an .npz file (see convolution)."""
    objectives: tuple[str, ...] | None = None
    """What to learn by, one after the other: denoising, implicit, sliced, edm, flow. Samples and figures are of the
    first. Without it: denoising, and for points in the full preset all of them."""
    process: str = "by_level"
    """How data become noise: by_level, variance_exploding, variance_preserving, sub_variance_preserving or linear_path.
    Flow matching takes the linear path, whatever stands here."""
    weighting: str = "noise"
    """What a time is worth to denoising, implicit and sliced: noise, likelihood, one, flow, edm. Likelihood is worth
    what it says where times are drawn evenly: with every process but by_level."""
    compare: tuple[str, ...] | None = None
    """Samplers of points to be held against each other by evaluations of the score, and likelihoods with them: heun,
    dpm-solver, ancestral, euler-maruyama, predictor-corrector, langevin. Without it: in the full preset all."""
    hold_out: float = 0.0
    """Share of the images to learn from that is judged on instead of the test part: to choose settings by."""
    judging_epochs: float | None = None
    """How often a classifier that judges images sees each of those that it learns from. Without it: 30,000 images in
    all, but each at least three times."""
    steps: int | None = None
    """Of the optimiser. Where this or another flag is None, it is what suits the data: see
    experiments/diffusing/recipes.py."""
    batch_size: int | None = None
    """Rows of data."""
    learning_rate: float | None = None
    """Adam's, at its highest."""
    average: float | None = None
    """Share of the steps that the moving average of the weights remembers; what is judged is the average."""
    width: int | None = None
    """Of the network's layers."""
    layers: int | None = None
    """How many there are."""
    channels: int | None = None
    """Of the convolutions about them, of images."""
    least_level: float | None = None
    """Least noise, standard deviation in the units of the data, or counts of a pixel."""
    most_level: float | None = None
    """Most noise."""
    level_mean: float | None = None
    """Mean of the log of the levels learned from, where the process is by_level."""
    level_std: float | None = None
    """Standard deviation of the same."""
    classless: float | None = None
    """Share of images whose class is not told."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        for flag, known in (("objectives", OBJECTIVES), ("compare", tuple(SAMPLERS))):
            given = getattr(self, flag)
            require(not given or (set(given) <= set(known) and len(set(given)) == len(given)), f"--{flag}",
                    f"one or more of {', '.join(known)}, each once", given)
        require(self.process in score_matching.PROCESSES, "--process",
                f"one of {', '.join(score_matching.PROCESSES)}", self.process)
        require(self.weighting in WEIGHTINGS, "--weighting", f"one of {', '.join(WEIGHTINGS)}", self.weighting)
        require(self.weighting != "likelihood" or self.process != "by_level", "--weighting likelihood",
                "with another --process: by_level does not draw its times evenly", self.process)
        require(0 <= self.hold_out < 1, "--hold-out", "at least 0 and below 1", self.hold_out)
        for flag in ("steps", "batch_size", "width", "layers", "channels"):
            value = getattr(self, flag)
            require(value is None or value >= 1, f"--{flag.replace('_', '-')}", "at least 1", value)
        for flag in ("learning_rate", "least_level", "most_level", "level_std", "judging_epochs"):
            value = getattr(self, flag)
            require(value is None or 0 < value < math.inf, f"--{flag.replace('_', '-')}", "above 0, and finite", value)
        for flag in ("average", "classless"):
            value = getattr(self, flag)
            require(value is None or 0 <= value <= 1, f"--{flag}", "in [0, 1]", value)
        require(self.level_mean is None or math.isfinite(self.level_mean), "--level-mean", "finite", self.level_mean)
        require_seeds_or(self, "--batch-size", recipe_for(self, self.dataset in PLANES).batch_size)


PRESETS = {
    "quick": {"steps": 2000},
    "full": {"seeds": 3},
    "gpu": {"dataset": "fashion-mnist", "seeds": 3},
}


def run(config: Config = Config()) -> Result:
    """Learn a score by each objective, measure its density, sample from it, and show it."""
    config = settled(config)
    subject, labels = read(config), seed_labels(config)
    with start(NAME, config, subject.fingerprint) as work:
        diffusers = {stage.name: subject.diffuser.with_params(train(work, stage).state.average)
                     for stage in stages(config, subject, work.mesh)}
        verdict = subject.judge(work, diffusers)
        first = next(iter(diffusers.values()))
        return finish(
            work,
            metrics=verdict.metrics,
            reference=verdict.reference,
            drawn={**verdict.drawn, "learning": report.learning(
                {name: metrics.read(work.directory, name) for name in diffusers})},
            learned={"params": first.params, "of_data": np.array([first.num_classes, first.max_pixel, *first.shape]),
                     "width_and_mean": np.array([first.sigma_data, first.mean]).view(np.uint32)},  # to the bit
            model=first,
            sample="\n".join([verdict.text, *report.of_seeds(verdict.metrics, labels), ""]),
        )


def stages(config: Config, subject: Subject, mesh: Mesh | None) -> tuple[Stage, ...]:
    """How scores learn: each objective in its turn."""
    config, divided = settled(config), seeds_divide(config)
    recipe = recipe_for(config, config.dataset in PLANES)

    def by(name: str) -> Stage:
        goal = objective(name, process=config.process, weighting=config.weighting, recipe=recipe,
                         sigma_data=subject.diffuser.sigma_data)
        how = learning(goal, recipe, init=subject.diffuser.init, score_fn=subject.diffuser.score_fn,
                       draw_rows=subject.draw_rows, mesh=None if divided else mesh)
        return Stage(name, jax.vmap(how.initial), (seed_keys(config),), how.step, subject.data, num_steps=recipe.steps,
                     chunk_steps=max(1, recipe.steps // 50), labels=seed_labels(config), runs=subject.runs,
                     state_rules=EACH_RUN if divided else ())

    return tuple(by(name) for name in config.objectives or ())


def revive(config: Config, learned: dict[str, Any]) -> Diffuser:
    """The scores of a finished run by its first objective, from what they learned."""
    num_classes, max_pixel, *shape = np.asarray(learned["of_data"]).tolist()
    sigma_data, mean = np.asarray(learned["width_and_mean"], np.uint32).view(np.float64).tolist()
    recipe = recipe_for(config, config.dataset in PLANES)
    diffuser = (picture_diffuser(recipe, tuple(shape), num_classes, max_pixel, sigma_data, mean) if max_pixel else
                point_diffuser(recipe, sigma_data, mean))
    return diffuser.with_params(learned["params"])


def settled(config: Config) -> Config:
    """The config with what suits its data where flags are silent: what a run learned with stays with it.

    Raises:
      UserError: a flag that such data have no use for.
    """
    of_points, full = config.dataset in PLANES, config.preset == "full"
    usual, recipe = recipe_of(config.dataset, of_points), recipe_for(config, of_points)
    unused = {"judging_epochs": None, "channels": usual.channels, "classless": usual.classless, "hold_out": 0.0
              } if of_points else {"compare": ()}
    for flag, silent in unused.items():
        require(getattr(config, flag) in (None, silent), f"--{flag.replace('_', '-')}",
                f"left out for {'points' if of_points else 'images'}", getattr(config, flag))
    for flag in ("level_mean", "level_std"):
        require(config.process == "by_level" or getattr(recipe, flag) == getattr(usual, flag),
                f"--{flag.replace('_', '-')}", "left out but with --process by_level, as other times are drawn evenly",
                getattr(config, flag))
    require(recipe.least_level < recipe.most_level, "--least-level", f"below --most-level, {recipe.most_level}",
            recipe.least_level)
    return dataclasses.replace(
        config, **recipe._asdict(), objectives=config.objectives or (OBJECTIVES if of_points and full else USUAL),
        compare=config.compare or (tuple(SAMPLERS) if of_points and full else ()))


def read(config: Config) -> Subject:
    """What the flags ask to be learned."""
    recipe = recipe_for(config, config.dataset in PLANES)
    if config.dataset in PLANES:
        return points(config.dataset, recipe, config.compare or ())
    require(config.dataset in ("digits", *image_sets.PUBLIC) or Path(config.dataset).exists(), "--dataset",
            f"one of {', '.join(PLANES)}, digits, {', '.join(image_sets.PUBLIC)}, or an .npz file", config.dataset)
    return pictures(config.dataset, config.data_dir, recipe, config.hold_out)
