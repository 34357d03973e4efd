"""Muon: a step of equal singular values, whatever the gradient's are, for matrices and for kernels."""

import jax
import numpy as np
import optax
import pytest

from sandbox.muon import muon, stacked

RNG = np.random.default_rng(0)
PARAMS = {"wide": RNG.normal(size=(6, 20)), "tall": RNG.normal(size=(20, 6)), "kernel": RNG.normal(size=(3, 3, 2, 5)),
          "same": RNG.normal(size=(6, 20))}
PARAMS = jax.tree.map(lambda leaf: leaf.astype(np.float32), PARAMS)


def first_step(params):
    optimizer = muon(0.5)
    return jax.jit(lambda: optimizer.update(params, optimizer.init(params), params)[0])()


def test_a_step_is_nearly_orthogonal_and_scaled_to_its_shape():
    """Newton–Schulz leaves singular values within 0.68 to 1.13 of their scale, √max(1, out/in)."""
    for name, update in first_step(PARAMS).items():
        assert update.shape == PARAMS[name].shape
        matrix = np.asarray(update).reshape(-1, update.shape[-1])
        scale = 0.5 * max(1, matrix.shape[1] / matrix.shape[0]) ** 0.5
        singular = np.linalg.svd(matrix, compute_uv=False) / scale
        assert singular.min() > 0.5 and singular.max() < 1.3, name
        assert np.sum(matrix * PARAMS[name].reshape(matrix.shape)) < 0, "it goes down"


def test_stacked_with_others_a_matrix_gets_the_step_that_it_gets_alone():
    together, alone = first_step(PARAMS), first_step({"wide": PARAMS["wide"]})
    np.testing.assert_allclose(together["wide"], alone["wide"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inner", [optax.sgd(0.1, momentum=0.9), optax.adam(0.1)], ids=["momentum", "adam"])
def test_an_elementwise_optimiser_is_the_same_stacked(inner):
    plain, ours, params = inner, stacked(inner), PARAMS
    state, own = plain.init(params), ours.init(params)
    for _ in range(2):
        expected, state = plain.update(params, state, params)
        got, own = ours.update(params, own, params)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), got, expected)
