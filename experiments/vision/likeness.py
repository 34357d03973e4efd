"""How like real images made ones are, to classifiers that took no part in making them."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments import convolution
from experiments.data.images import Images
from experiments.runner.config import require
from experiments.runner.loop import begin, train
from experiments.runner.meshes import seeds_divide
from experiments.runner.run import Run
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import EACH_RUN
from experiments.vision import problem
from experiments.vision.learning import Learning, learning
from experiments.vision.problem import Part, Scale
from experiments.vision.report import JUDGED_AT_ONCE
from sandbox import two_sample

SEEN = 30_000  # images, about, that a classifier sees while it learns, but each three times at least
MOST_COMPARED, MOST_LOOKED_UP = 10_000, 1000  # images of a side
HEAD = "head"  # the last layer of the convolution experiment's networks: what comes before are the features


class Eye(NamedTuple):
    """A classifier: model, params learned on images scaled so."""

    model: nn.Module
    params: Any
    scale: Scale


def learn_to_see(run: Run, data: Images) -> Eye:
    """The convolution experiment's small network, taught by the real images."""
    part = Part(jnp.asarray(data.train_images), jnp.asarray(data.train_labels))
    model, scale, how = _classifier(run, data, len(data.train_labels))
    keys = jnp.stack([jax.random.key(run.config.seed)])
    ended = train(run, how.stage("see", keys, part, ["real"], num_chunks=20)).state.average
    return Eye(model, jax.tree.map(lambda leaf: leaf[0], ended), scale)


def require_enough(name: str, num_images: int) -> None:
    """Refuse fewer images than a classifier sees in a step.

    Raises:
      UserError: there are fewer.
    """
    least = convolution.Config().batch_size
    require(num_images >= least, f"--dataset {name}", f"of at least {least} images to learn from", num_images)


def taught_by(run: Run, made: np.ndarray, labels: np.ndarray, data: Images) -> np.ndarray:
    """Share of real, unseen images told right by a classifier of each seed that learned from its made ones: (K,).

    Args:
      made: (K, N, H, W, C) uint8. labels: (N,), that they were asked for by.
    """
    model, scale, how = _classifier(run, data, len(labels))
    parts = Part(jnp.asarray(made), jnp.broadcast_to(jnp.asarray(labels)[None], made.shape[:2]))
    rules = EACH_RUN if seeds_divide(run.config) else ()
    params = train(run, how.stage("teach", seed_keys(run.config), parts, seed_labels(run.config), num_chunks=20,
                                  data_axis=0, state_rules=rules, data_rules=rules)).state.average
    right = begin(run, "teach", lambda params, images: jax.lax.map(
        lambda one: jnp.argmax(_by_image(model.apply, one, images, scale), axis=-1), params),
        params, jnp.asarray(data.test_images))
    return (np.asarray(right) == data.test_labels[None]).mean(axis=1)


def distances(run: Run, eye: Eye, made: np.ndarray, data: Images
              ) -> tuple[dict[str, np.ndarray], dict[str, float], int]:
    """From the real images to learn from, by the eye's features: of made ones, (K,) each by name; of as many real
    ones that none has seen; and how many these are. Of sets that hold exact shares of every class, which independent
    draws would not, the kernel distance comes out a little below 0.

    Args:
      made: (K, N, H, W, C) uint8, in any prefix of which all classes are.
    """
    num = min(len(data.test_images), made.shape[1], MOST_COMPARED)  # a Fréchet distance is larger of fewer
    sets = [data.train_images[:MOST_COMPARED], *made[:, :num], data.test_images[:num]]
    seen = np.asarray(features(run, eye, np.concatenate(sets)), np.float64)  # in one go: each would be compiled anew
    real, others = np.split(seen, [len(sets[0])])
    with jax.enable_x64(True):  # roots of singular covariances lose half of their digits
        found = begin(run, "judge", lambda real, others: jax.lax.map(lambda one: _apart(real, one), others),
                      real, others.reshape(len(sets) - 1, num, -1))
    found = {name: np.asarray(value) for name, value in found.items()}
    return ({name: value[:-1] for name, value in found.items()}, {name: value[-1] for name, value in found.items()},
            num)


def features(run: Run, eye: Eye, images: np.ndarray) -> jax.Array:
    """What the eye's head would see of images, (N, D)."""
    def before_head(params, x):
        def look(call, arguments, keywords, context):
            return arguments[0] if context.module.name == HEAD else call(*arguments, **keywords)

        with nn.intercept_methods(look):
            return eye.model.apply(params, x)

    return begin(run, "judge", partial(_by_image, before_head, scale=eye.scale), eye.params, jnp.asarray(images))


def classes(run: Run, eye: Eye, images: np.ndarray) -> np.ndarray:
    """What the eye takes images for: (N,)."""
    logits = begin(run, "judge", partial(_by_image, eye.model.apply, scale=eye.scale), eye.params, jnp.asarray(images))
    return np.asarray(logits).argmax(axis=-1)


def accuracy(run: Run, eye: Eye, data: Images) -> float:
    """Share of unseen real images that the eye tells right."""
    return float((classes(run, eye, data.test_images) == data.test_labels).mean())


def nearest_ratios(run: Run, made: np.ndarray, data: Images) -> np.ndarray:
    """Median squared distance from made images to their nearest training image, by pixels, over that of real unseen
    ones: (K,). Near 0 they are copies; below 1 they may as well be blurred."""
    num = min(len(data.test_images), made.shape[1], MOST_LOOKED_UP)
    sets = np.concatenate([made[:, :num], data.test_images[None, :num]])

    def medians(sets, train):
        return jax.lax.map(lambda one: jnp.median(two_sample.nearest_neighbours(_flat(one), _flat(train))[1]), sets)

    found = np.asarray(begin(run, "judge", medians, jnp.asarray(sets), jnp.asarray(data.train_images)))
    return found[:-1] / found[-1]


def memorised(run: Run, made: np.ndarray, data: Images) -> np.ndarray:
    """Share of made images that are much nearer to one training image than to any other, d₁ < d₂/3, by pixels:
    (K + 1,), the last of real unseen ones.

    Source: Yoon et al. 2023, "Diffusion probabilistic models generalize when they fail to memorize", section 3.
    """
    num = min(len(data.test_images), made.shape[1], MOST_LOOKED_UP)
    sets = np.concatenate([made[:, :num], data.test_images[None, :num]])

    def shares(sets, train):
        def of_image(image):
            squares = -jax.lax.top_k(-jnp.sum((train - image[None])**2, axis=1), 2)[0]
            return 9 * squares[0] < squares[1]

        return jax.lax.map(lambda one: jnp.mean(jax.lax.map(of_image, _flat(one)).astype(jnp.float32)), sets)

    return np.asarray(begin(run, "judge", shares, jnp.asarray(sets), _flat(data.train_images)))


def nearest_training(images: np.ndarray, data: Images) -> np.ndarray:
    """Number of the training image nearest to each, by pixels: (N,)."""
    return np.asarray(two_sample.nearest_neighbours(_flat(images), _flat(data.train_images))[0])


def _flat(images: Any) -> jax.Array:
    return jnp.asarray(images).reshape(len(images), -1).astype(jnp.float32)


def _apart(real: jax.Array, others: jax.Array) -> dict[str, jax.Array]:
    precision, recall = two_sample.precision_recall(real, others)
    return {"frechet_distance": two_sample.frechet_distance(real, others),
            "kernel_distance": two_sample.kernel_distance(real, others), "precision": precision, "recall": recall}


def _classifier(run: Run, data: Images, num_images: int) -> tuple[nn.Module, Scale, Learning]:
    asked: Any = run.config  # of an experiment that makes images
    config = convolution.Config(epochs=asked.judging_epochs or max(3.0, SEEN / num_images))
    num_classes, channels = len(data.class_names), data.train_images.shape[-1]
    scale = Scale(np.full(channels, 0.5), np.full(channels, 0.5), data.max_pixel)  # which is no image's own
    model = convolution.network(config, num_classes)
    return model, scale, learning(config, model, scale, shape=data.train_images.shape[1:], num_images=num_images,
                                  num_classes=num_classes, flip=0.0)


def _by_image(apply_fn: Any, params: Any, images: jax.Array, scale: Scale) -> jax.Array:
    return jax.lax.map(lambda image: apply_fn(params, problem.scaled(image[None], scale))[0], images,
                       batch_size=min(JUDGED_AT_ONCE, images.shape[0]))
