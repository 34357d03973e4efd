"""How well each seed guesses the unseen part of the text, token by token."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.attention import Tokens, Transformer, next_token_cross_entropy


class Judged(NamedTuple):
    """Of K seeds: val_loss: (K,) nats per token, over all of them. val_accuracy: (K,) share of tokens that were the
    likeliest. by_position: (K, T − 1) nats of the 2nd, 3rd, ... token of a block."""

    val_loss: jax.Array
    val_accuracy: jax.Array
    by_position: jax.Array


def judge(model: Transformer, params: Any, blocks: Tokens) -> Judged:
    """Judge seeds one after another, a batch of blocks at a time.

    Args:
      params: of K seeds, on a leading axis. blocks: leaves (batches, blocks, T − 1).
    """
    def of_batch(one: Any, batch: Tokens) -> tuple[jax.Array, jax.Array]:
        aux = next_token_cross_entropy(one, batch, apply_fn=model.apply)[1]
        return jnp.sum(batch.weights * aux.nats, axis=0), jnp.sum(batch.weights * aux.correct)

    def of_seed(one: Any) -> Judged:
        nats, correct = jax.lax.map(lambda batch: of_batch(one, batch), blocks)
        nats, count = jnp.sum(nats, axis=0), jnp.sum(blocks.weights, axis=(0, 1))
        return Judged(jnp.sum(nats) / jnp.sum(count), jnp.sum(correct) / jnp.sum(count), nats / count)

    return jax.lax.map(of_seed, params)


def metrics(judged: Judged, unit: str) -> dict[str, np.ndarray]:
    """The same by name, (K,) each, with bits beside nats."""
    return {"val_loss": np.asarray(judged.val_loss), "val_accuracy": np.asarray(judged.val_accuracy),
            f"val_bits_per_{unit.removesuffix('s')}": np.asarray(judged.val_loss) / math.log(2)}
