"""Three images in one, as its channels: ten classes make a thousand modes, which a classifier counts."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import image_sets
from experiments.data.images import Images, fingerprint
from experiments.forging import picture_figures
from experiments.forging.forger import Forger
from experiments.forging.pictures import picture_forger
from experiments.forging.recipes import Recipe
from experiments.forging.subject import Subject, Verdict
from experiments.runner.errors import UserError
from experiments.runner.loop import begin
from experiments.runner.run import Run
from experiments.runner.seeds import judging_keys
from experiments.vision import likeness
from sandbox import gan
from sandbox.gan import Pairs

PREFIX, CHANNELS = "stacked-", 3
STACKS = 26_000  # of each seed, as others judge by


def stacks(name: str, data_dir: Any, recipe: Recipe) -> Subject:
    """Stacks of the images that the rest of the name names; players are not told the classes."""
    data = image_sets.load(name.removeprefix(PREFIX), data_dir)
    likeness.require_enough(name, len(data.train_labels))
    if data.train_images.shape[-1] != 1:
        raise UserError(f"--dataset {name}: images must have one channel to be stacked, and have "
                        f"{data.train_images.shape[-1]}")
    forger = picture_forger(recipe, (*data.train_images.shape[1:-1], CHANNELS), 0, data.max_pixel)
    sample = partial(draw_pairs, forger=forger, batch_size=recipe.batch_size)
    return Subject(forger, (jnp.asarray(data.train_images[..., 0]),), sample, partial(judge, data=data),
                   fingerprint(data), "map-on-cpu")


def draw_pairs(key: jax.Array, images: jax.Array, *, forger: Forger, batch_size: int) -> Pairs:
    """A batch: real stacks of three images drawn apart, and what fake ones are made of."""
    of_rows, of_latents, of_mix = jax.random.split(key, 3)
    rows = jax.random.randint(of_rows, (batch_size, CHANNELS), 0, len(images))
    real = forger.as_seen(jnp.moveaxis(images[rows], 1, -1).astype(jnp.float32))
    return Pairs(real, gan.draw_latents(of_latents, batch_size, forger.latent_size),
                 jax.random.uniform(of_mix, (batch_size,)), jnp.ones(batch_size))


def judge(run: Run, forger: Forger, *, data: Images) -> Verdict:
    """How many of the modes STACKS of each seed are in, as a classifier of one channel sees them."""
    forged = np.asarray(begin(
        run, "judge", lambda *of_seeds: jax.lax.map(lambda one: forger.forged(one[0], one[1], STACKS), of_seeds),
        forger.params.generator, judging_keys(run.config)))
    eye, num_classes = likeness.learn_to_see(run, data), len(data.class_names)
    alone = np.moveaxis(forged, -1, 0).reshape(-1, *data.train_images.shape[1:])
    classes = likeness.classes(run, eye, alone).reshape(CHANNELS, *forged.shape[:2])
    modes, reverse_kl = zip(*(mode_counts(classes[:, k], num_classes) for k in range(len(forged))))
    return Verdict({"modes": np.array(modes, float), "reverse_kl": np.array(reverse_kl)},
                   {"forged": picture_figures.stacked(forged[0], data.max_pixel)},
                   f"Of {num_classes**CHANNELS:,} modes, by {STACKS:,} stacks of each seed, as a classifier sees them "
                   f"that tells {likeness.accuracy(run, eye, data):.4f} of single images right.")


def mode_counts(classes: np.ndarray, num_classes: int) -> tuple[int, float]:
    """How many modes there are among stacks, and the KL in nats of their shares from even ones.

    Args:
      classes: (channels, N), of each channel of N stacks.

    >>> mode_counts(np.array([[0, 0, 1], [1, 1, 0]]), 2)[0]
    2
    """
    modes = np.tensordot(num_classes ** np.arange(len(classes)), classes, axes=1)
    counts = np.bincount(modes, minlength=num_classes ** len(classes))
    return int((counts > 0).sum()), float(gan.reverse_kl_of_counts(jnp.asarray(counts, jnp.float32)))
