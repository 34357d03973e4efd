"""Traces: of Jacobians laid out in full, in parts and by projections, and how often the field is looked at."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from sandbox.score_matching.draws import draw_projections
from sandbox.score_matching.traces import exact_trace, projected_trace, quadratic_forms

SHAPE = (2, 3, 1)
RNG = np.random.default_rng(0)
X, MIX, V = RNG.normal(size=(4, *SHAPE)), RNG.normal(size=(6, 6)), RNG.normal(size=(4, 5, *SHAPE))


def field(x, mix=MIX):
    return jnp.sin(x.reshape(-1, 6) @ mix.T).reshape(x.shape)


def jacobians():
    """∂ sin(M x) = diag(cos(M x)) M, of each row."""
    return np.cos(X.reshape(4, 6) @ MIX.T)[:, :, None] * MIX[None]


@pytest.mark.parametrize("at_once", [1, 4, 6, 100])
def test_exact_traces(at_once, float64):
    value, trace = jax.jit(functools.partial(exact_trace, field, at_once=at_once))(X)
    np.testing.assert_allclose(value, field(X), rtol=1e-12)
    np.testing.assert_allclose(trace, np.trace(jacobians(), axis1=1, axis2=2), rtol=1e-12)


def test_projected_traces(float64):
    v = V.reshape(4, 5, 6)
    expected = np.einsum("npd,nde,npe->np", v, jacobians(), v)
    value, forms = quadratic_forms(field, X, V)
    np.testing.assert_allclose(value, field(X), rtol=1e-12)
    np.testing.assert_allclose(forms, expected, rtol=1e-10)
    np.testing.assert_allclose(projected_trace(field, X, V)[1], expected.mean(axis=1), rtol=1e-10)


def test_numbers_without_a_shape_are_their_own_trace(float64):
    x = jnp.array([0.3, -1.0])
    np.testing.assert_allclose(exact_trace(jnp.sin, x)[1], jnp.cos(x), rtol=1e-12)
    np.testing.assert_allclose(projected_trace(jnp.sin, x, 2 * jnp.ones((2, 3)))[1], 4 * jnp.cos(x), rtol=1e-12)


@pytest.mark.parametrize("kind", ["rademacher", "normal", "sphere"])
def test_projections_estimate_without_bias(kind):
    """Within five of the standard errors that the forms themselves show."""
    x = X.astype(np.float32)
    v = draw_projections(jax.random.key(0), x.shape, 2_000, kind)
    _, forms = jax.jit(functools.partial(quadratic_forms, field))(x, v)
    away = np.mean(forms, axis=1) - np.trace(jacobians(), axis1=1, axis2=2)
    assert np.all(np.abs(away) < 5 * np.std(forms, axis=1) / np.sqrt(2_000) + 1e-5)


def test_traces_can_be_differentiated_twice_by_what_makes_the_field(float64):
    of = jax.jit(lambda mix, x: jnp.sum(exact_trace(functools.partial(field, mix=mix), x, at_once=4)[1]))
    check_grads(of, (jnp.asarray(MIX), jnp.asarray(X)), order=2, modes=("rev",))


@pytest.mark.parametrize("of", [exact_trace, functools.partial(exact_trace, at_once=2), functools.partial(
    projected_trace, projections=jnp.ones((4, 5, *SHAPE)))])
def test_the_field_is_looked_at_once(of):
    looks = []

    def counted(x):
        looks.append(x.shape)
        return field(x)

    of(counted, jnp.asarray(X, jnp.float32))
    assert looks == [X.shape]


@pytest.mark.parametrize("call, words", [
    (lambda: exact_trace(field, X, at_once=0), "at_once must be at least 1, got 0"),
    (lambda: exact_trace(lambda x: x[:, 0], X), r"must return rows of the shape of x, \(4, 2, 3, 1\), got \(4, 3, 1"),
    (lambda: projected_trace(field, X, V[:, :0]), r"P of at least 1, got \(4, 0, 2, 3, 1\)"),
    (lambda: projected_trace(field, X, V[:, 0]), r"projections must be \(N, P, \*shape\) of x \(4, 2, 3, 1\), got"),
    (lambda: quadratic_forms(field, X, V[:3]), r"projections must be \(N, P, \*shape\) of x \(4, 2, 3, 1\), got"),
    (lambda: quadratic_forms(lambda x: x[:, 0], X, V), "field must return rows of the shape of x"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
