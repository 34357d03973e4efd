"""All that is random: which blocks of a text make a batch, what dropout leaves out, which token comes next."""

import jax
import jax.numpy as jnp

from sandbox.attention.losses import Tokens
from sandbox.epochs import epoch_rows

__all__ = ["check_choice", "draw_blocks", "draw_dropout", "draw_token", "nucleus"]


def draw_blocks(key: jax.Array, step: jax.Array, tokens: jax.Array, *, context: int, batch_size: int) -> Tokens:
    """The batch of a step: blocks of a text, each once an epoch in a random order, cut anew in every epoch.

    An epoch cuts the text at o, o + T, o + 2 T, ..., o random in [0, T). Without replacement, since of blocks drawn
    with it an epoch's worth sees only 1 − 1/e = 63% of the text.

    Args:
      key: of the run, the same at all steps. step: () integer, steps done. tokens: (N,) integer, N >= (B + 1) T.
      context: T. batch_size: B.
    Returns:
      Tokens of B rows, all weights 1.
    Raises:
      ValueError: the text is too short for a batch.

    >>> batch = draw_blocks(jax.random.key(0), jnp.array(3), jnp.arange(40), context=4, batch_size=2)
    >>> batch.targets - batch.inputs
    Array([[1, 1, 1, 1],
           [1, 1, 1, 1]], dtype=int32)
    """
    num_rows = (tokens.shape[0] - context) // context
    if num_rows < batch_size:
        raise ValueError(f"a batch of {batch_size} blocks of {context} tokens needs {(batch_size + 1) * context}, "
                         f"got {tokens.shape[0]}")
    rows, epoch_key = epoch_rows(key, step, num_rows=num_rows, batch_size=batch_size)
    start = jax.random.randint(epoch_key, (), 0, context) + context * rows
    block = tokens[start[:, None] + jnp.arange(context + 1)[None, :]]
    return Tokens(block[:, :-1], block[:, 1:], jnp.ones((batch_size, context)))


def draw_dropout(key: jax.Array, *, rate: float, batch_size: int, num_layers: int, context: int,
                 width: int) -> jax.Array | None:
    """Factors of the residual branches: 0 with probability `rate`, else 1 / (1 − rate); None where rate is 0.

    Args:
      key: PRNG key. rate: in [0, 1). batch_size: B. num_layers: L, of two branches each. context: T. width: D.
    Returns:
      (B, 2 L, T, D), or None.
    Raises:
      ValueError: rate is not in [0, 1).
    Source: Srivastava et al. 2014.

    >>> factors = draw_dropout(jax.random.key(0), rate=0.5, batch_size=1, num_layers=1, context=8, width=4)
    >>> factors.shape, sorted(set(factors.ravel().tolist()))
    ((1, 2, 8, 4), [0.0, 2.0])
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be in [0, 1), got {rate}")
    if rate == 0:
        return None
    kept = jax.random.bernoulli(key, 1 - rate, (batch_size, 2 * num_layers, context, width))
    return kept.astype(float) / (1 - rate)


def nucleus(logits: jax.Array, top_p: float) -> jax.Array:
    """Logits of the likeliest tokens whose shares first reach top_p together; −∞ for the others.

    Token v stays where those strictly likelier than it have less than top_p: so the likeliest always does, and
    equally likely ones stay or go together.

    Args:
      logits: (..., V). top_p: in (0, 1].
    Returns:
      (..., V).
    Raises:
      ValueError: top_p is not in (0, 1].
    Source: Holtzman et al. 2020.

    >>> nucleus(jnp.log(jnp.array([0.5, 0.3, 0.2])), 0.6)[2]
    Array(-inf, dtype=float32)
    """
    check_choice(1.0, top_p)
    if top_p == 1:
        return logits  # rounded sums of shares reach 1 before the last token
    falling = jnp.sort(logits, axis=-1, descending=True)
    before = jnp.cumsum(jax.nn.softmax(falling), axis=-1) - jax.nn.softmax(falling)
    least = jnp.min(jnp.where(before < top_p, falling, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(logits >= least, logits, -jnp.inf)


def draw_token(key: jax.Array, logits: jax.Array, *, temperature: float = 1.0, top_p: float = 1.0) -> jax.Array:
    """A token from softmax(logits / temperature), of its nucleus alone.

    Args:
      key: PRNG key. logits: (..., V). temperature: >= 0; 0 takes the likeliest. top_p: in (0, 1]; see `nucleus`.
    Returns:
      (...) int32.
    Raises:
      ValueError: temperature is negative or not finite, or top_p is not in (0, 1].

    >>> draw_token(jax.random.key(0), jnp.array([0.0, 3.0, 1.0]), temperature=0.0)
    Array(1, dtype=int32)
    """
    check_choice(temperature, top_p)
    if temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jax.random.categorical(key, nucleus(logits / temperature, top_p)).astype(jnp.int32)


def check_choice(temperature: float, top_p: float) -> None:
    """Refuse a temperature or a top_p that no token can be drawn by.

    Raises:
      ValueError: temperature is negative or not finite, or top_p is not in (0, 1].

    >>> check_choice(1.0, 0.0)
    Traceback (most recent call last):
    ValueError: top_p must be in (0, 1], got 0.0
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 or more and finite, got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be in (0, 1], got {top_p}")
