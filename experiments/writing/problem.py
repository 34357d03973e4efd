"""A text on the device, and the blocks that a model is judged on."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import Alphabet, embedded_text, texts, tinyshakespeare
from experiments.runner.errors import UserError
from sandbox.attention import Tokens

JUDGED_AT_ONCE = 64  # blocks; what a network keeps of them grows with it


class Problem(NamedTuple):
    """alphabet: what tokens stand for. train: (N,) int32 tokens. validation: blocks of the context, in batches,
    Tokens with leaves (batches, blocks, T − 1). opening: how its first paragraph begins, to go on from.
    fingerprint: of the text."""

    alphabet: Alphabet
    train: jax.Array
    validation: Tokens
    opening: str
    fingerprint: str


def read(dataset: str, data_dir: Any, unit: str, context: int, batch_size: int) -> Problem:
    """The problem that a text poses.

    Args:
      dataset: embedded, tinyshakespeare, or the path of a file. data_dir: see RunConfig.
      unit: characters or bytes. context: T, in tokens. batch_size: blocks of a step.
    Raises:
      UserError: no such data set or file. DataError, DataUnavailable: see experiments.data.
    """
    if dataset == "embedded":
        text = embedded_text.load(unit)
    elif dataset == "tinyshakespeare":
        text = tinyshakespeare.load(data_dir, unit)
    elif Path(dataset).exists():
        text = texts.read(dataset, unit)
    else:
        raise UserError(f"--dataset must be embedded, tinyshakespeare or a text file, and there is no {dataset!r}")
    texts.require_length(text, context, batch_size)
    blocks = in_batches(texts.blocks(text.validation, context))
    return Problem(text.alphabet, jnp.asarray(text.train), blocks,
                   opening(texts.decode(text.alphabet, text.validation[:1000]), context // 2), texts.fingerprint(text))


def opening(text: str, most: int) -> str:
    """The beginning of a text's first whole paragraph, up to a space.

    >>> opening("ends here.\\n\\nIt was a dark and stormy night", 15)
    'It was a dark '
    """
    _, _, whole = text.partition("\n\n")
    start = (whole or text)[:most]
    return start[:start.rfind(" ") + 1] or start


def in_batches(blocks: texts.Blocks) -> Tokens:
    """The same blocks in equal batches, the last one filled up with blocks of weight 0."""
    size = min(JUDGED_AT_ONCE, len(blocks.inputs))
    missing = -len(blocks.inputs) % size

    def cut(leaf: np.ndarray) -> jax.Array:
        padded = np.pad(leaf, ((0, missing), (0, 0)))
        return jnp.asarray(padded.reshape(-1, size, leaf.shape[1]))

    return Tokens(*map(cut, blocks))
