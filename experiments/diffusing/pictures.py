"""Images, by class: their density in bits, and what a classifier that only ever saw made ones knows of real ones."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import image_sets, images
from experiments.data.images import Images
from experiments.diffusing import baselines, picture_figures
from experiments.diffusing.diffuser import Diffuser
from experiments.diffusing.recipes import Recipe
from experiments.diffusing.sampling import sampling_levels
from experiments.diffusing.subject import Subject, Verdict
from experiments.runner.config import require
from experiments.runner.loop import begin, spending
from experiments.runner.run import Run
from experiments.runner.seeds import JUDGING, judging_keys
from experiments.runner.summary import Reference
from experiments.vision import likeness, made_figures
from experiments.vision.problem import Part
from sandbox import convolution, score_matching

MOST_MADE, MOST_JUDGED = 10_000, 1000  # images of each seed
MOST_TRACED = 25_000  # directions of exact traces, an image has as many as numbers
STEPS, PROJECTIONS = 20, 4  # of a likelihood
EVALUATIONS = 35  # of the score for an image


def pictures(name: str, data_dir: Any, recipe: Recipe, hold_out: float) -> Subject:
    """A set of images; what is learned from is told the class, or not."""
    data = image_sets.load(name, data_dir)
    if hold_out:
        data = images.hold_out(data, hold_out)
    likeness.require_enough(name, len(data.train_labels))
    least, most = 12 * len(data.class_names), baselines.LEAST
    require(len(data.train_labels) >= max(least, most), f"--dataset {name}",
            f"of at least {max(least, most)} images to learn from", len(data.train_labels))
    require(recipe.classless > 0, "--classless", "above 0: bits are of images without a class", recipe.classless)
    train = Part(jnp.asarray(data.train_images), jnp.asarray(data.train_labels))
    pixels = data.train_images.astype(np.float64)
    variance = pixels.var() + 1 / 12  # of the dequantisation
    diffuser = picture_diffuser(recipe, data.train_images.shape[1:], len(data.class_names), data.max_pixel,
                                float(np.sqrt(variance)), float(pixels.mean() + 0.5))
    return Subject(diffuser, (train,), partial(draw_rows, diffuser=diffuser, recipe=recipe),
                   partial(judge, data=data, held_out=bool(hold_out)), images.fingerprint(data), "map-on-cpu")


def picture_diffuser(recipe: Recipe, shape: tuple[int, ...], num_classes: int, max_pixel: int, sigma_data: float,
                     mean: float) -> Diffuser:
    """A network on the house's own convolution."""
    network = score_matching.ImageLogits(max_pixel + 1, recipe.channels, recipe.width, recipe.layers, num_classes,
                                         conv=convolution.conv_general_dilated)
    return Diffuser(network, sigma_data, mean, recipe.least_level, recipe.most_level, shape, num_classes, max_pixel)


def draw_rows(key: jax.Array, train: Part, *, diffuser: Diffuser, recipe: Recipe) -> tuple[jax.Array, tuple]:
    """Images dequantised anew, and their classes, some of them not told."""
    of_rows, of_uniform, of_classes = jax.random.split(key, 3)
    rows = jax.random.randint(of_rows, (recipe.batch_size,), 0, len(train.labels))
    counts = train.images[rows]
    x = score_matching.dequantised(counts, jax.random.uniform(of_uniform, counts.shape))
    told = jax.random.uniform(of_classes, rows.shape) >= recipe.classless
    return x, (jnp.where(told, train.labels[rows], diffuser.num_classes),)


def judge(run: Run, diffusers: Mapping[str, Diffuser], *, data: Images, held_out: bool) -> Verdict:
    """Bits of unseen images, of each objective; and of the first one's samples what can be learned from them, and
    whether they are copies."""
    names, first = list(diffusers), next(iter(diffusers.values()))
    part = "val_" if held_out else ""
    unseen = data._replace(test_images=data.test_images[:MOST_JUDGED], test_labels=data.test_labels[:MOST_JUDGED])
    few = max(1, MOST_TRACED // data.test_images[0].size)
    reached = {}
    for name, diffuser in diffusers.items():
        own = "" if name == names[0] else f"_{name}"
        reached[f"{part}bits_per_dim{own}"] = bits_per_dim(run, diffuser, unseen.test_images[:few]).mean(axis=1)
    estimated, finer = (bits_per_dim(run, first, unseen.test_images, PROJECTIONS, steps)
                        for steps in (STEPS, 2 * STEPS))
    reached[f"{part}bits_per_dim_hutchinson"] = estimated.mean(axis=1)
    num = min(len(data.train_labels), MOST_MADE)
    labels = np.arange(num, dtype=np.int32) % first.num_classes
    made = np.asarray(begin(run, "sample", lambda params, keys, labels: jax.lax.map(
        lambda one: first.drawn(one[0], one[1], num, (labels,), evaluations=EVALUATIONS), (params, keys)),
        first.params, judging_keys(run.config), jnp.asarray(labels)))
    reached[f"{part}classifier_accuracy"] = likeness.taught_by(run, made, labels, data)
    copies = likeness.memorised(run, made, data)
    reached["memorised"] = copies[:-1]
    with spending(run, "judge"):
        fitted = baselines.bits_of_mixtures(unseen, run.config.seed)
    with spending(run, "sample"):
        drawn = {"made": made_figures.beside_nearest(made[0], labels, data),
                 "making": picture_figures.making(*path_of(run, first)), "inpainting": inpainting(run, first, data)}
    reference = {f"{part}bits_per_dim": Reference(fitted.mixture, f"{fitted.chosen}, fitted here")}
    if run.config.dataset == "digits" and not held_out:
        reference["classifier_accuracy"] = Reference(0.98, "about, the same classifier trained on real digits")
    what = "held-out training" if held_out else "test"
    return Verdict(reached, reference, drawn,
                   f"By {', '.join(names)}: {len(names)} x {len(made)} scores of {first.num_parameters:,} parameters.\n"
                   f"Bits are of {len(unseen.test_images[:few]):,} {what} images, dequantised, Hutchinson's of "
                   f"{len(unseen.test_images):,}; twice the steps change them by {(finer - estimated).mean():.4f}.\n"
                   f"Uniform counts have {fitted.uniform:.3f}, a Gaussian {fitted.gaussian:.3f}, the best of "
                   f"{fitted.tried} mixtures, {fitted.chosen}, {fitted.mixture:.3f}.\n"
                   f"Of unseen real images {copies[-1]:.4f} would count as memorised.")


def bits_per_dim(run: Run, diffuser: Diffuser, unseen: np.ndarray, projections: int = 0, steps: int = STEPS
                 ) -> np.ndarray:
    """Of images, dequantised once, by each seed, (K, N)."""
    of_uniform, of_signs = jax.random.split(jax.random.key(JUDGING))

    def of_seeds(params, counts):
        x = score_matching.dequantised(counts, jax.random.uniform(of_uniform, counts.shape))
        conditions = (jnp.full(len(x), diffuser.num_classes, jnp.int32),)
        return jax.lax.map(lambda one: diffuser.likelihood(one, x, conditions, steps=steps, projections=projections,
                                                           key=of_signs).log_density, params)

    log_density = np.asarray(begin(run, "judge", of_seeds, diffuser.params, jnp.asarray(unseen)), np.float64)
    return np.asarray(score_matching.bits_per_dim(log_density, unseen[0].size))


def path_of(run: Run, diffuser: Diffuser) -> tuple[np.ndarray, np.ndarray]:
    """From noise to an image of each class by the first seed: levels (M,), and what the score takes the image for at
    each of them, beside it: (M, 2, classes, H, W, C)."""
    params, num = jax.tree.map(lambda leaf: leaf[0], diffuser.params), diffuser.num_classes
    levels = sampling_levels((EVALUATIONS + 1) // 2, diffuser.least_level, diffuser.most_level)[:-1]

    def found(params, key, labels):
        path = diffuser.sampled(params, key, num, (labels,), evaluations=EVALUATIONS).path[:-1]

        def seen(one):
            x, level = one
            sigma = jnp.full(num, level)
            return score_matching.denoised_of_score(diffuser.score_fn(params, x, sigma, labels), x, sigma)

        return jnp.stack([path, jax.lax.map(seen, (path, jnp.asarray(levels, path.dtype)))], axis=1)

    return levels, np.asarray(begin(run, "sample", found, params, judging_keys(run.config)[0],
                                    jnp.arange(num, dtype=jnp.int32)))


def inpainting(run: Run, diffuser: Diffuser, data: Images):
    """Unseen images, their lower halves made anew by the first seed, four times."""
    _, first_of_class = np.unique(data.test_labels, return_index=True)
    real = data.test_images[first_of_class]
    mask = np.zeros(real.shape[1:], bool)
    mask[: real.shape[1] // 2] = True
    with spending(run, "sample"):
        filled = diffuser.inpaint(np.concatenate([real] * 4), mask, seed=run.config.seed)
    return picture_figures.inpainting(real, filled.reshape(4, *real.shape), mask, data.max_pixel)
