"""Two networks at odds: min over G, max over D of E[log D(x)] + E[log(1 − D(G(z)))], and how such a game is played.

Points of a plane whose modes can be counted, digits, or clothes; every seed shown, those that diverge by name. Presets:
quick, full, and gpu, which wants an accelerator.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.data import image_sets
from experiments.forging import game_figures, report
from experiments.forging.forger import Forger
from experiments.forging.pictures import picture_forger, pictures
from experiments.forging.playing import METHODS, Rules, playing
from experiments.forging.points import MIXTURES, points
from experiments.forging.recipes import recipe_for
from experiments.forging.stacks import PREFIX, stacks
from experiments.forging.subject import Subject
from experiments.runner import metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.finish import finish
from experiments.runner.loop import train
from experiments.runner.meshes import require_seeds_or, seeds_divide
from experiments.runner.result import Result
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import EACH_RUN, Stage
from sandbox import gan, sharding

NAME = "gan"


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A generator and a discriminator."""

    dataset: str = "ring"
    """What to forge: ring, 8 Gaussians, which is embedded, too; grid, 25; images, which are digits, fashion-mnist,
    mnist, cifar-10, or an .npz file (see convolution); or three gray ones of these in one, as in stacked-digits."""
    seeds: int = 1
    """How many independent pairs, trained together; each result is given for all of them."""
    criterion: str = "relativistic"
    """What the players want: minimax, non-saturating, least-squares, hinge, wasserstein or relativistic."""
    method: str = "alternating"
    """How they move: alternating, simultaneous, extra-gradient, optimistic, consensus or competitive."""
    critic_steps: int = 1
    """Of the discriminator for one of the generator, of alternating."""
    consensus_weight: float = 0.1
    """β, of consensus."""
    gradient_penalty: float = 0.0
    """λ of (‖∇D‖ − 1)² between real and fake, for wasserstein."""
    judging_epochs: float | None = None
    """How often a classifier that judges images sees each of those that it learns from. Without it: 30,000 images in
    all, but each at least three times."""
    diverged_beyond: float = 1e6
    """Norm of either player's gradient at which its game is stopped, as one that diverged."""
    steps: int | None = None
    """Of the generator. Where this or another flag is None, it is what suits the data: see
    experiments/forging/recipes.py."""
    batch_size: int | None = None
    """Pairs of a real and a fake sample."""
    latent_size: int | None = None
    """Numbers that a sample is made of."""
    generator_rate: float | None = None
    """Adam's, of the generator, at first."""
    discriminator_rate: float | None = None
    """Adam's, of the discriminator."""
    generator_fall: float | None = None
    """What the generator's rate is multiplied by, along the way."""
    constant: float | None = None
    """Share of the steps before it falls."""
    momentum: float | None = None
    """Adam's β₁."""
    r1: float | None = None
    """γ of γ/2 ‖∇D‖² at real samples, at first."""
    r2: float | None = None
    """γ of γ/2 ‖∇D‖² at fake samples, at first."""
    penalty_fall: float | None = None
    """What r1 and r2 are multiplied by along the way."""
    average: float | None = None
    """Share of the steps that the moving average of the weights remembers; what is judged is the average."""
    widths: tuple[int, ...] | None = None
    """Of hidden layers; or channels of each size of an image, the smallest first."""
    waves: int | None = None
    """Octaves of sine and cosine that the discriminator sees of a point, beside the point; of images none."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        require(self.criterion in gan.CRITERIA, "--criterion", f"one of {', '.join(gan.CRITERIA)}", self.criterion)
        require(self.method in METHODS, "--method", f"one of {', '.join(METHODS)}", self.method)
        for flag in ("steps", "batch_size", "latent_size", "critic_steps"):
            value = getattr(self, flag)
            require(value is None or value >= 1, f"--{flag.replace('_', '-')}", "at least 1", value)
        for flag in ("generator_rate", "discriminator_rate"):
            value = getattr(self, flag)
            require(value is None or 0 < value < math.inf, f"--{flag.replace('_', '-')}", "above 0, and finite", value)
        for flag in ("r1", "r2", "gradient_penalty", "consensus_weight"):
            value = getattr(self, flag)
            require(value is None or 0 <= value < math.inf, f"--{flag.replace('_', '-')}", "0 or more, and finite",
                    value)
        require(self.momentum is None or 0 <= self.momentum < 1, "--momentum", "in [0, 1)", self.momentum)
        for flag in ("generator_fall", "penalty_fall"):
            value = getattr(self, flag)
            require(value is None or 0 < value <= 1, f"--{flag.replace('_', '-')}", "above 0 and at most 1", value)
        for flag in ("average", "constant"):
            value = getattr(self, flag)
            require(value is None or 0 <= value <= 1, f"--{flag}", "in [0, 1]", value)
        require(self.judging_epochs is None or 0 < self.judging_epochs < math.inf, "--judging-epochs",
                "above 0, and finite", self.judging_epochs)
        require(self.diverged_beyond > 0, "--diverged-beyond", "above 0", self.diverged_beyond)
        require(self.waves is None or self.waves >= 0, "--waves", "0 or more", self.waves)
        require(self.widths is None or (len(self.widths) >= 1 and min(self.widths) >= 1), "--widths",
                "one number or more, each at least 1", self.widths)
        require(self.critic_steps == 1 or self.method == "alternating", "--critic-steps",
                f"1 where players move by {self.method}", self.critic_steps)
        require_seeds_or(self, "--batch-size", recipe_for(self).batch_size)


PRESETS = {
    "quick": {"steps": 1000},
    "full": {"seeds": 10},
    "gpu": {"dataset": "fashion-mnist", "seeds": 3},
}


def run(config: Config = Config()) -> Result:
    """Let two networks play, count what the generators cover, and show it."""
    recipe = recipe_for(config)
    config = dataclasses.replace(config, **recipe._asdict())  # what a run was played with stays with it
    subject, labels = read(config), seed_labels(config)
    with start(NAME, config, subject.fingerprint) as work:
        [play] = stages(config, subject, work.mesh)
        ends = train(work, play).state
        forger = subject.forger.with_params(ends.state.average)
        verdict = subject.judge(work, forger)
        reached = {**verdict.metrics, "diverged": report.diverged(ends)}
        return finish(
            work,
            metrics=reached,
            reference=report.reference(config.dataset),
            drawn={**verdict.drawn, "learning": game_figures.learning(metrics.read(work.directory, "play")),
                   "dynamics": game_figures.dynamics()},
            learned={"params": forger.params._asdict(),
                     "of_data": np.array([forger.num_classes, forger.max_pixel, *forger.shape])},
            model=forger,
            sample="\n".join([report.of_players(forger, recipe), *report.of_divergence(ends, labels), verdict.text,
                              *report.of_seeds(reached, labels), ""]),
        )


def stages(config: Config, subject: Subject, mesh: Mesh | None) -> tuple[Stage, ...]:
    """How pairs learn: as the rules say."""
    recipe, divided = recipe_for(config), seeds_divide(config)
    sample = subject.sample if mesh is None or divided else sharding.constrain_batch(mesh, subject.sample)
    play = playing(subject.forger, sample, recipe, rules_of(config))
    return (Stage("play", jax.vmap(play.initial), (seed_keys(config),), play.step, subject.data,
                  num_steps=recipe.steps, chunk_steps=max(1, recipe.steps // 100), labels=seed_labels(config),
                  runs=subject.runs, state_rules=EACH_RUN if divided else ()),)


def revive(config: Config, learned: dict[str, Any]) -> Forger:
    """The generators and discriminators of a finished run, from what they learned."""
    num_classes, max_pixel, *shape = np.asarray(learned["of_data"]).tolist()
    recipe = recipe_for(config)
    forger = (picture_forger(recipe, tuple(shape), num_classes, max_pixel) if max_pixel
              else points(config.dataset, recipe).forger)
    return forger.with_params(gan.Players(**learned["params"]))


def read(config: Config) -> Subject:
    """What the flags ask to be forged."""
    recipe = recipe_for(config)
    if config.dataset in MIXTURES:
        return points(config.dataset, recipe)
    images = config.dataset.removeprefix(PREFIX)
    require(images in ("digits", *image_sets.PUBLIC) or Path(images).exists(), "--dataset",
            f"one of {', '.join(MIXTURES)}, digits, {', '.join(image_sets.PUBLIC)}, or an .npz file, the images also "
            f"with {PREFIX} before them", config.dataset)
    read = pictures if images == config.dataset else stacks
    return read(config.dataset, config.data_dir, recipe)


def rules_of(config: Config) -> Rules:
    """The rules that the flags set."""
    return Rules(gan.CRITERIA[config.criterion], config.method, config.critic_steps, config.consensus_weight,
                 config.gradient_penalty, config.diverged_beyond)
