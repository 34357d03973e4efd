"""How well each seed tells apart images that it has not seen."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.vision.problem import Part, Scale, looked_at, scaled

JUDGED_AT_ONCE = 250  # images; what a network keeps of them grows with it


def judge(apply_fn: Callable[..., jax.Array], params: Any, part: Part, *, scale: Scale, mirrored: bool
          ) -> jax.Array:
    """Judge seeds one after another, some images at a time; see `looked_at`.

    Args:
      apply_fn: (params, images) -> logits. params: of K seeds, on a leading axis.
    Returns:
      log p of the classes, (K, N, classes).
    """
    seen = looked_at(apply_fn, mirrored)

    def of_seed(one: Any) -> jax.Array:
        def of_image(image: jax.Array) -> jax.Array:
            return jax.nn.log_softmax(seen(one, scaled(image[None], scale))[0])

        return jax.lax.map(of_image, part.images, batch_size=min(JUDGED_AT_ONCE, part.images.shape[0]))

    return jax.lax.map(of_seed, params)


def metrics(log_p: np.ndarray, part: Part, name: str) -> dict[str, np.ndarray]:
    """Share of images that are told right, and nats, (K,) each, of log p (K, N, classes); name: test or val."""
    labels = np.asarray(part.labels)[None]
    nats = -np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    return {f"{name}_accuracy": (log_p.argmax(axis=-1) == labels).mean(axis=1),
            f"{name}_nats": nats.mean(axis=1, dtype=np.float64)}


def confusion(log_p: np.ndarray, part: Part) -> np.ndarray:
    """How often each class, a row, was taken for each, a column: (classes, classes) counts, of log p (N, classes)."""
    counts = np.zeros((log_p.shape[-1],) * 2, int)
    np.add.at(counts, (np.asarray(part.labels), log_p.argmax(axis=-1)), 1)
    return counts
