"""How well each seed tells apart images that it has not seen."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.vision.problem import Part, Scale, looked_at, scaled

JUDGED_AT_ONCE = 250  # images; what a network keeps of them grows with it


class Judged(NamedTuple):
    """Of K seeds and N images: log_p: (K, N, classes) of the classes; correct: (K, N) bool."""

    log_p: jax.Array
    correct: jax.Array


def judge(apply_fn: Callable[..., jax.Array], params: Any, part: Part, *, scale: Scale, mirrored: bool) -> Judged:
    """Judge seeds one after another, some images at a time; see `looked_at`.

    Args:
      apply_fn: (params, images) -> logits. params: of K seeds, on a leading axis.
    """
    seen = looked_at(apply_fn, mirrored)

    def of_seed(one: Any) -> jax.Array:
        def of_image(image: jax.Array) -> jax.Array:
            return jax.nn.log_softmax(seen(one, scaled(image[None], scale))[0])

        return jax.lax.map(of_image, part.images, batch_size=min(JUDGED_AT_ONCE, part.images.shape[0]))

    log_p = jax.lax.map(of_seed, params)
    return Judged(log_p, jnp.argmax(log_p, axis=-1) == part.labels[None])


def metrics(judged: Judged, part: Part, name: str) -> dict[str, np.ndarray]:
    """Share of images that are told right, and nats, (K,) each; name: test or val."""
    log_p = np.asarray(judged.log_p)
    nats = -np.take_along_axis(log_p, np.asarray(part.labels)[None, :, None], axis=-1)[..., 0]
    return {f"{name}_accuracy": np.asarray(judged.correct).mean(axis=1, dtype=np.float64),
            f"{name}_nats": nats.mean(axis=1, dtype=np.float64)}


def confusion(judged: Judged, part: Part) -> np.ndarray:
    """How often each class, a row, was taken for each, a column, by the first seed: (classes, classes) counts."""
    log_p = np.asarray(judged.log_p[0])
    counts = np.zeros((log_p.shape[-1],) * 2, int)
    np.add.at(counts, (np.asarray(part.labels), log_p.argmax(axis=-1)), 1)
    return counts
