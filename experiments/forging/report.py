"""What generators reached, what others published, and who diverged."""

from collections.abc import Mapping

import numpy as np

from experiments.forging.forger import Forger
from experiments.forging.recipes import Recipe
from experiments.runner.summary import Reference
from sandbox import gan
from sandbox.gan import Watched

PACGAN = "PacGAN4, mean of 10"
RING = {"modes": Reference(7.8, f"{PACGAN}; VEEGAN 8"), "high_quality": Reference(0.959, f"{PACGAN}; VEEGAN 0.529"),
        "reverse_kl": Reference(0.07, PACGAN)}
REFERENCES = {
    "ring": RING,
    "embedded": RING,
    "grid": {"modes": Reference(24.8, f"{PACGAN}; VEEGAN 24.6"),
             "high_quality": Reference(0.936, f"{PACGAN}; VEEGAN 0.40"), "reverse_kl": Reference(0.04, PACGAN)},
}
DIGITS = {"classifier_accuracy": Reference(0.98, "about, the same classifier trained on real digits")}
NAMES = {gan.GENERATOR: "the generator's gradient", gan.DISCRIMINATOR: "the discriminator's gradient",
         gan.NEITHER: "a number that is not finite, in no gradient"}


def reference(dataset: str) -> dict[str, Reference]:
    """What others published of it."""
    return {**REFERENCES, "digits": DIGITS}.get(dataset, {})


def of_players(forger: Forger, recipe: Recipe) -> str:
    """Who played, and how long."""
    generator, discriminator = forger.num_parameters
    return (f"A generator of {generator:,} parameters against a discriminator of {discriminator:,}, {forger.num} x "
            f"{recipe.steps:,} steps of {recipe.batch_size} pairs.")


def of_divergence(ends: Watched, labels: list[str]) -> list[str]:
    """A line for each seed that diverged: by whom, at which step, and how large its part of the field was then."""
    return [f"{label} diverged at step {int(ends.diverged_at[k]):,} by {NAMES[int(ends.by[k])]}"
            + (f", of norm {_norm(ends.field_norm[k])}" if int(ends.by[k]) else "")
            + ": what is judged is the average up to then."
            for k, label in enumerate(labels) if int(ends.diverged_at[k])]


def of_seeds(metrics: Mapping[str, np.ndarray], labels: list[str]) -> list[str]:
    """A line for each metric, with every seed's value; none of one seed, which the table has."""
    if len(labels) == 1:
        return []
    return [f"{name} of {labels[0]} to {labels[-1].removeprefix('seed ')}: "
            + ", ".join(f"{value:.4g}" for value in values) for name, values in metrics.items()]


def _norm(value: float) -> str:
    return "not finite" if value >= np.finfo(np.float32).max else f"{value:.3g}"


def diverged(ends: Watched) -> np.ndarray:
    """1 for each seed that did, 0 for the others."""
    return np.asarray(np.asarray(ends.diverged_at) > 0, float)
