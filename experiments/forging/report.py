"""What generators reached, what others published, and who diverged."""

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
NAMES = {gan.GENERATOR: "generator", gan.DISCRIMINATOR: "discriminator"}


def reference(dataset: str) -> dict[str, Reference]:
    """What others published of it."""
    return REFERENCES.get(dataset, {})


def of_players(forger: Forger, recipe: Recipe) -> str:
    """Who played, and how long."""
    generator, discriminator = forger.num_parameters
    return (f"{forger.num} generators of {generator:,} parameters against discriminators of {discriminator:,}, "
            f"{recipe.steps:,} steps of {recipe.batch_size} pairs each.")


def of_divergence(ends: Watched, labels: list[str]) -> list[str]:
    """A line for each seed that diverged: by whom, at which step, and how large the field was then."""
    return [f"{label} diverged: the {NAMES[int(ends.by[k])]} at step {int(ends.diverged_at[k]):,}, where the norm of "
            f"its gradient was {float(ends.field_norm[k]):.3g}; what is judged is the last state before."
            for k, label in enumerate(labels) if int(ends.diverged_at[k])]


def diverged(ends: Watched) -> np.ndarray:
    """1 for each seed that did, 0 for the others."""
    return np.asarray(np.asarray(ends.diverged_at) > 0, float)
