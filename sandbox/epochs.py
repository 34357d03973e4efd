"""Batches by epochs: every row once, in an order that is drawn anew, never stored and never sorted."""

import jax
import jax.numpy as jnp

__all__ = ["epoch_rows", "shuffled"]

ROUNDS = 6


def epoch_rows(key: jax.Array, step: jax.Array, *, num_rows: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """The rows of a step's batch where every epoch takes all rows once, in an order of its own.

    An epoch is ⌊num_rows / batch_size⌋ steps; the few rows that do not fill a batch are others in each epoch.

    Args:
      key: of the run, the same at all steps. step: () integer, steps done. num_rows: N. batch_size: B, at most N.
    Returns:
      (B,) int32 in [0, N), and the epoch's key, for what else is to stay as it is for an epoch.
    Raises:
      ValueError: batch_size is not in 1 to N.

    >>> batches = [epoch_rows(jax.random.key(0), jnp.array(t), num_rows=4, batch_size=2)[0] for t in range(2)]
    >>> sorted(jnp.concatenate(batches).tolist())
    [0, 1, 2, 3]
    """
    if not 1 <= batch_size <= num_rows:
        raise ValueError(f"batch_size must be 1 to the number of rows, {num_rows}, got {batch_size}")
    epoch, batch = jnp.divmod(step, num_rows // batch_size)
    order_key, epoch_key = jax.random.split(jax.random.fold_in(key, epoch))
    return shuffled(order_key, batch * batch_size + jnp.arange(batch_size), num_rows=num_rows), epoch_key


def shuffled(key: jax.Array, positions: jax.Array, *, num_rows: int) -> jax.Array:
    """Which rows stand at these positions of a random order of all rows.

    A bijection of [0, N): a Feistel network, (l, r) ← (r, l ⊕ f(r, k)), on the next even number of bits, walked on from
    wherever it leaves [0, N). The cost is that of the positions asked for, whatever N is.

    Args:
      key: PRNG key, which is the order. positions: (...) integer in [0, N). num_rows: N, 1 to 2³⁰.
    Returns:
      (...) int32 in [0, N).
    Raises:
      ValueError: num_rows is out of bounds.
    Source: Luby, Rackoff 1988; cycle walking: Black, Rogaway 2002.

    >>> sorted(shuffled(jax.random.key(0), jnp.arange(5), num_rows=5).tolist())
    [0, 1, 2, 3, 4]
    """
    if not 1 <= num_rows <= 2**30:
        raise ValueError(f"num_rows must be 1 to 2³⁰, got {num_rows}")
    half = max(1, -(-(num_rows - 1).bit_length() // 2))
    low = jnp.uint32(2**half - 1)
    round_keys = jax.random.bits(key, (ROUNDS,))

    def encipher(x: jax.Array) -> jax.Array:
        left, right = x >> half, x & low
        for number in range(ROUNDS):
            left, right = right, left ^ (_mixed(right ^ round_keys[number]) & low)
        return left << half | right

    def walk(x: jax.Array) -> jax.Array:
        return jnp.where(x < num_rows, x, encipher(x))

    start = encipher(positions.astype(jnp.uint32))
    return jax.lax.while_loop(lambda x: jnp.any(x >= num_rows), walk, start).astype(jnp.int32)


def _mixed(x: jax.Array) -> jax.Array:
    """A hash of 32 bits in which each bit of x moves every other: MurmurHash3's last step."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)
