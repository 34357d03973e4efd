"""Points of a plane to forge: mixtures whose modes, and best possible samples, are known."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from experiments.forging import point_figures
from experiments.forging.forger import Forger
from experiments.forging.recipes import Recipe
from experiments.forging.subject import Subject, Verdict
from experiments.runner.loop import begin
from experiments.runner.run import Run
from experiments.runner.seeds import judging_keys
from sandbox import gan
from sandbox.gan import Coverage, Mixture, Pairs, Players

MIXTURES: Mapping[str, Mixture] = MappingProxyType({
    "embedded": gan.ring_of_modes(), "ring": gan.ring_of_modes(), "grid": gan.grid_of_modes()})
SAMPLES = 2500  # of each seed, as others judge by


def points(name: str, recipe: Recipe) -> Subject:
    """One of MIXTURES; players see it divided by the root mean square of its coordinates."""
    mixture = MIXTURES[name]
    scale = float(np.sqrt(np.mean(mixture.centres**2) + mixture.sigma**2))
    networks = Players(gan.PointGenerator(recipe.widths), gan.PointDiscriminator(recipe.widths, recipe.waves))
    forger = Forger(networks, recipe.latent_size, (2,), scale)
    sample = partial(draw_pairs, mixture=mixture, scale=scale, recipe=recipe)
    return Subject(forger, (), sample, partial(judge, mixture=mixture))


def draw_pairs(key: jax.Array, *, mixture: Mixture, scale: float, recipe: Recipe) -> Pairs:
    """A batch: real points as players see them, and what fake ones are made of."""
    of_points, of_latents, of_mix = jax.random.split(key, 3)
    real = gan.draw_from_mixture(of_points, mixture, recipe.batch_size) / scale
    return Pairs(real, gan.draw_latents(of_latents, recipe.batch_size, recipe.latent_size),
                 jax.random.uniform(of_mix, (recipe.batch_size,)), jnp.ones(recipe.batch_size))


def judge(run: Run, forger: Forger, *, mixture: Mixture) -> Verdict:
    """Which modes SAMPLES of each seed cover, how evenly and how sharply."""
    def of_seed(generator, key):
        samples = forger.forged(generator, key, SAMPLES)
        return samples, gan.mode_coverage(samples, mixture)

    samples, found = begin(run, "judge", jax.vmap(of_seed), forger.params.generator, judging_keys(run.config))
    found, samples = Coverage(*map(np.asarray, found)), np.asarray(samples)
    reached = {"modes": found.modes.astype(float), "high_quality": found.high_quality, "reverse_kl": found.reverse_kl,
               "covariance_ratio": np.array([mean_spread(one) for one in found.covariance_ratio])}
    drawn = {"samples": point_figures.samples(samples, found, reached["covariance_ratio"][0], mixture,
                                              run.config.seed),
             "every_seed": point_figures.every_seed(samples, found, mixture, run.config.seed),
             "landscape": point_figures.landscape(forger, mixture)}
    return Verdict(reached, drawn, f"A perfect model's high_quality is {gan.PERFECT_HIGH_QUALITY:.3f}, its "
                                   "covariance_ratio 1.")


def mean_spread(ratios: np.ndarray) -> float:
    """Mean over the modes that have one; 0 where none has.

    >>> mean_spread(np.array([0.5, 1.0, np.nan])), mean_spread(np.array([np.nan]))
    (0.75, 0.0)
    """
    known = ratios[np.isfinite(ratios)]
    return float(known.mean()) if len(known) else 0.0
