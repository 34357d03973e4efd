"""Ragged rows: every entry stands once, in the right row, whatever the lengths."""

import numpy as np
import pytest

from sandbox.matrix_factorization.ragged import layout, pack, take


def unpack(blocks, num_rows, num_entries):
    """Positions by row, read back from blocks, and the rows in the order in which they stand."""
    rows = {}
    for block in blocks:
        for row, entries in zip(block.rows.tolist(), block.entries, strict=True):
            inside = entries[entries < num_entries].tolist()
            if row == num_rows:
                assert not inside
            else:
                assert row not in rows
                rows[row] = inside
    return rows


def positions(row, num_rows):
    return {r: np.flatnonzero(row == r).tolist() for r in range(num_rows)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("widths", [(), (4, 64)])
def test_blocks_hold_every_position_once(seed, widths):
    rng = np.random.default_rng(seed)
    row = (40 * rng.random(500) ** 3).astype(np.int32)  # a few long rows, many short, some empty
    blocks = pack(row, 45, layout([row], 45, widths=widths))
    assert unpack(blocks, 45, len(row)) == positions(row, 45)


def test_ids_past_sixteen_bits_keep_their_order():
    row = np.random.default_rng(0).integers(0, 200_000, 3000)
    row[:50] = 199_999
    blocks = pack(row, 200_000)
    assert unpack(blocks, 200_000, len(row))[199_999] == np.flatnonzero(row == 199_999).tolist()
    assert sum(int((block.entries < len(row)).sum()) for block in blocks) == len(row)


def test_an_entry_of_row_num_rows_is_left_out():
    row = np.array([0, 3, 1, 3, 0])
    assert unpack(pack(row, 3), 3, 5) == {0: [0, 4], 1: [2], 2: []}


def test_no_entries_at_all():
    blocks = pack(np.zeros(0, np.int32), 3)
    assert unpack(blocks, 3, 0) == {0: [], 1: [], 2: []}


def test_folds_share_one_layout():
    rng = np.random.default_rng(1)
    folds = [rng.integers(0, 20, 300), (20 * rng.random(300) ** 2).astype(int)]
    shape = layout(folds, 20)
    shapes = [[block.entries.shape for block in pack(fold, 20, shape)] for fold in folds]
    assert shapes[0] == shapes[1]
    for fold in folds:
        assert unpack(pack(fold, 20, shape), 20, 300) == positions(fold, 20)


def test_rows_of_a_block_divide_among_devices():
    row = np.random.default_rng(2).integers(0, 21, 300)
    shape = layout([row], 21, multiple=4)
    assert all(rows % 4 == 0 for _, rows in shape)
    assert unpack(pack(row, 21, shape), 21, 300) == positions(row, 21)


def test_padding_is_bounded_by_the_entries():
    row = (1000 * np.random.default_rng(3).random(40_000) ** 2).astype(int)
    size = sum(block.entries.size for block in pack(row, 1000))
    assert size <= 2 * len(row) + 8 * 1000


@pytest.mark.parametrize("shape, complaint", [
    (((8, 1),), "room for 1 rows"), (((2, 2),), "no block for a row of 3")])
def test_a_shape_without_room_is_refused(shape, complaint):
    with pytest.raises(ValueError, match=complaint):
        pack(np.array([0, 0, 0, 1]), 2, shape)


def test_take_reads_padding_as_zero():
    assert take(np.array([1.0, 2.0]), np.array([1, 2, 0])).tolist() == [2.0, 0.0, 1.0]
