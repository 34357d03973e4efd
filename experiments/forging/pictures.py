"""Images to forge, by class: judged by what a classifier that only ever saw forged ones knows of real ones."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import image_sets
from experiments.data.images import Images, fingerprint
from experiments.forging.forger import Forger
from experiments.forging.recipes import Recipe
from experiments.forging.subject import Subject, Verdict
from experiments.runner.config import require
from experiments.runner.loop import begin
from experiments.runner.run import Run
from experiments.runner.seeds import judging_keys
from experiments.vision import likeness, made_figures
from experiments.vision.problem import Part
from sandbox import convolution, gan
from sandbox.gan import Pairs, Players

MOST_FORGED = 10_000  # of each seed, to judge by


def pictures(name: str, data_dir: Any, recipe: Recipe) -> Subject:
    """A set of images, and players that are told the class."""
    data = image_sets.load(name, data_dir)
    likeness.require_enough(name, len(data.train_labels))
    train = Part(jnp.asarray(data.train_images), jnp.asarray(data.train_labels))
    forger = picture_forger(recipe, data.train_images.shape[1:], len(data.class_names), data.max_pixel)
    sample = partial(draw_pairs, forger=forger, batch_size=recipe.batch_size)
    return Subject(forger, (train,), sample, partial(judge, data=data), fingerprint(data), "map-on-cpu")


def picture_forger(recipe: Recipe, shape: tuple[int, ...], num_classes: int, max_pixel: int) -> Forger:
    """A residual pair on the house's own convolution, which sees pixels as −1 to 1; each size is half of the next."""
    most = 1
    while not any(pixels % 2**most for pixels in shape[:2]):
        most += 1
    require(len(recipe.widths) <= most, "--widths", f"of at most {most} sizes for images of {shape[0]} x {shape[1]}",
            recipe.widths)
    how = {"widths": recipe.widths, "num_classes": num_classes, "conv": convolution.conv_general_dilated}
    networks = Players(gan.ImageGenerator(shape, **how), gan.ImageDiscriminator(**how))
    return Forger(networks, recipe.latent_size, shape, scale=max_pixel / 2, offset=max_pixel / 2,
                  num_classes=num_classes, max_pixel=max_pixel)


def draw_pairs(key: jax.Array, train: Part, *, forger: Forger, batch_size: int) -> Pairs:
    """A batch: real images as players see them with their classes, and what fake ones are made of."""
    of_rows, of_latents, of_mix = jax.random.split(key, 3)
    rows = jax.random.randint(of_rows, (batch_size,), 0, len(train.labels))
    real = forger.as_seen(train.images[rows].astype(jnp.float32))
    return Pairs(real, gan.draw_latents(of_latents, batch_size, forger.latent_size),
                 jax.random.uniform(of_mix, (batch_size,)), jnp.ones(batch_size), (train.labels[rows],))


def judge(run: Run, forger: Forger, *, data: Images) -> Verdict:
    """What a classifier learns from forged images alone, and how far they are from real ones as another sees them."""
    num = min(len(data.train_labels), MOST_FORGED)
    labels = np.arange(num, dtype=np.int32) % forger.num_classes
    forged = np.asarray(begin(
        run, "judge", lambda *of_seeds: jax.lax.map(lambda one: forger.forged(one[0], one[1], num, labels), of_seeds),
        forger.params.generator, judging_keys(run.config)))
    eye = likeness.learn_to_see(run, data)
    accuracy = likeness.taught_by(run, forged, labels, data)
    apart, of_unseen, num_compared = likeness.distances(run, eye, forged, data)
    ratios = likeness.nearest_ratios(run, forged, data)
    best = ", ".join(f"{name} {value:.4f}" for name, value in of_unseen.items())
    return Verdict({"classifier_accuracy": accuracy, **apart, "nearest_ratio": ratios},
                   {"forged": made_figures.beside_nearest(forged[0], labels, data)},
                   f"Forged and unseen real images, {num_compared:,} each, beside those to learn from, as a classifier "
                   f"sees them that tells {likeness.accuracy(run, eye, data):.4f} right. Of unseen real ones: {best}.")
