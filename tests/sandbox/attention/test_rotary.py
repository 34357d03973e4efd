"""Turned queries and keys: products know distances, lengths are kept."""

import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import rotate
from tests.sandbox.attention.problems import assert_close

Q, K = np.random.default_rng(0).normal(size=(2, 6, 1, 8))  # six positions, one head
POSITIONS = np.array([0, 1, 2, 10, 11, 30])


def test_inner_products_know_distances_alone(float64):
    products = [np.einsum("ih,jh->ij", rotate(Q, at)[:, 0], rotate(K, at)[:, 0])
                for at in (POSITIONS, POSITIONS + 1000)]
    assert_close(products[1], products[0])
    assert not np.allclose(products[0], Q[:, 0] @ K[:, 0].T)


def test_it_is_a_product_of_complex_numbers(float64):
    turn = np.exp(1j * POSITIONS[:, None] * 100.0 ** (-np.arange(4) / 4)[None, :])
    expected = (Q[:, 0, :4] + 1j * Q[:, 0, 4:]) * turn
    assert_close(rotate(Q, POSITIONS, base=100.0)[:, 0], np.concatenate([expected.real, expected.imag], axis=1), 1e-14)


def test_lengths_are_kept_and_position_zero_is_not_turned(float64):
    turned = np.asarray(rotate(Q, POSITIONS))
    assert_close(np.linalg.norm(turned, axis=-1), np.linalg.norm(Q, axis=-1), 1e-14)
    np.testing.assert_array_equal(turned[0], Q[0])


def test_rows_may_have_positions_of_their_own(float64):
    both = rotate(np.stack([Q, K]), np.stack([POSITIONS, POSITIONS[::-1]]))
    assert_close(both, np.stack([rotate(Q, POSITIONS), rotate(K, POSITIONS[::-1])]), 1e-15)


def test_half_precision_is_rounded_once():
    """At position 1,000 an angle in bfloat16 would be off by whole radians: it is computed in float32."""
    q = jnp.asarray(Q, jnp.bfloat16)
    turned = rotate(q, POSITIONS + 1000)
    assert turned.dtype == jnp.bfloat16
    exact = np.asarray(rotate(q.astype(jnp.float32), POSITIONS + 1000))
    np.testing.assert_allclose(turned.astype(jnp.float32), exact, rtol=2**-8)


def test_an_odd_head_size_is_refused():
    with pytest.raises(ValueError, match="a head size must be even to be turned in pairs, got 3"):
        rotate(jnp.ones((2, 1, 3)), jnp.arange(2))
