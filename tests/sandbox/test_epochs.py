"""Epochs: every row once, in an order that is a bijection, looks random, and is another each time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.epochs import epoch_rows, shuffled

ROWS_OF = jax.jit(epoch_rows, static_argnames=("num_rows", "batch_size"))


def epoch(number, key=0):
    """Seven rows in three batches of two: one is left over."""
    batches = [ROWS_OF(jax.random.key(key), 3 * number + n, num_rows=7, batch_size=2) for n in range(3)]
    return [rows.tolist() for rows, _ in batches], [jax.random.key_data(epoch_key) for _, epoch_key in batches]


def test_an_epoch_takes_each_row_at_most_once_and_leaves_out_fewer_than_a_batch():
    left_out = set()
    for number in range(12):
        rows = [row for batch in epoch(number)[0] for row in batch]
        assert len(rows) == len(set(rows)) == 6
        left_out |= set(range(7)) - set(rows)
    assert len(left_out) > 3  # others in each epoch


def test_epochs_differ_and_a_key_has_the_same_ones_again():
    assert epoch(0)[0] == epoch(0)[0]
    assert epoch(0)[0] != epoch(1)[0] and epoch(0)[0] != epoch(0, key=1)[0]


def test_an_epoch_has_a_key_of_its_own():
    (first, *others), next_ones = epoch(0)[1], epoch(1)[1]
    assert all(jnp.array_equal(first, other) for other in others)
    assert not jnp.array_equal(first, next_ones[0])


@pytest.mark.parametrize("batch_size", [0, 8])
def test_a_batch_that_no_epoch_has_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be 1 to the number of rows, 7, got {batch_size}"):
        epoch_rows(jax.random.key(0), 0, num_rows=7, batch_size=batch_size)


@pytest.mark.parametrize("num_rows", [1, 2, 3, 64, 1000, 4097])
def test_a_shuffle_has_every_row_once(num_rows):
    rows = jax.jit(shuffled, static_argnames="num_rows")(jax.random.key(1), jnp.arange(num_rows), num_rows=num_rows)
    assert np.array_equal(np.sort(rows), np.arange(num_rows))


def test_every_row_is_as_likely_at_every_place_and_after_every_other():
    """χ² of 4,000 orders of ten rows: 81 degrees of freedom of where a row stands, and 89 of which two rows begin;
    130 and 140 are their 99.95% quantiles."""
    keys = jax.random.split(jax.random.key(2), 4000)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: shuffled(key, jnp.arange(10), num_rows=10)))(keys))
    places = np.stack([np.bincount(orders[:, place], minlength=10) for place in range(10)])
    assert ((places - 400) ** 2 / 400).sum() < 130
    pairs = np.bincount(10 * orders[:, 0] + orders[:, 1], minlength=100).reshape(10, 10)[~np.eye(10, dtype=bool)]
    assert ((pairs - 4000 / 90) ** 2 / (4000 / 90)).sum() < 140


def test_neighbours_do_not_stay_neighbours():
    rows = np.asarray(shuffled(jax.random.key(3), jnp.arange(4096), num_rows=4096), float)
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 4 / np.sqrt(4096)
    assert abs(np.corrcoef(rows, np.arange(4096))[0, 1]) < 4 / np.sqrt(4096)


@pytest.mark.parametrize("num_rows", [0, 2**30 + 1])
def test_too_few_or_too_many_rows_are_refused(num_rows):
    with pytest.raises(ValueError, match=f"num_rows must be 1 to 2³⁰, got {num_rows}"):
        shuffled(jax.random.key(0), jnp.arange(1), num_rows=num_rows)
