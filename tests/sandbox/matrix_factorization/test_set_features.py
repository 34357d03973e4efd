"""The leading eigenvectors of the sets' similarity against a dense eigendecomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.matrix_factorization import ragged
from sandbox.matrix_factorization.set_features import set_basis

R, C = 20, 12


def members(seed=0):
    rng = np.random.default_rng(seed)
    held = rng.random((R, C)) < rng.uniform(0.1, 0.9, C)[None, :]
    held[3] = False  # an empty set
    return held, *np.nonzero(held)


def basis(row, column, size, **keywords):
    return set_basis(jax.random.key(0), ragged.pack(row, R), ragged.pack(column, C), jnp.asarray(row),
                     jnp.asarray(column), num_rows=R, num_columns=C, size=size, **keywords)


@pytest.mark.usefixtures("float64")
def test_eigenvalues_and_vectors_are_those_of_the_cosine_similarity():
    held, row, column = members()
    normalised = held / np.sqrt(np.maximum(held.sum(axis=1), 1))[:, None]
    values, vectors = np.linalg.eigh(normalised @ normalised.T)
    found = basis(row, column, 4, iterations=60)
    np.testing.assert_allclose(found.values, values[::-1][:4], rtol=1e-8)
    leading = vectors[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(leading.T @ np.asarray(found.vectors)), np.eye(4), atol=1e-6)
    assert np.all(np.abs(found.vectors[3]) < 1e-8)


@pytest.mark.parametrize("size", [0, R + 1])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match="size"):
        basis(*members()[1:], size)
