"""The derivatives by hand against finite differences, what Jacobians of softmax satisfy, and what is refused."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_jvp, check_vjp

from sandbox.attention import derivatives
from tests.sandbox.attention.problems import assert_close

RNG = np.random.default_rng(0)
Z, U, DZ = RNG.normal(size=(3, 4, 5))


@pytest.mark.parametrize("axis", [-1, 0])
def test_finite_differences_of_softmax_and_its_logarithm(axis, float64):
    for function, jvp, vjp in (
        (jax.nn.softmax, derivatives.softmax_jvp, derivatives.softmax_vjp),
        (jax.nn.log_softmax, derivatives.log_softmax_jvp, derivatives.log_softmax_vjp),
        (functools.partial(jax.nn.logsumexp, keepdims=True),
         lambda z, dz, axis: jnp.sum(jax.nn.softmax(z, axis) * dz, axis, keepdims=True),
         lambda z, u, axis: jax.nn.softmax(z, axis) * u),
    ):
        of_axis = functools.partial(function, axis=axis)
        check_jvp(of_axis, lambda x, dx: (of_axis(*x), jvp(*x, *dx, axis=axis)), (Z,), rtol=1e-6)  # noqa: B023
        check_vjp(of_axis, lambda z: (of_axis(z), lambda u: (vjp(z, u, axis=axis),)), (Z,), rtol=1e-6)  # noqa: B023


@pytest.mark.parametrize("axis", [-1, 0])
def test_finite_differences_of_the_first_derivatives(axis, float64):
    for first, second in (
        (lambda z: derivatives.softmax_vjp(z, U, axis=axis),
         lambda z, dz: derivatives.softmax_hvp(z, U, dz, axis=axis)),
        (lambda z: derivatives.log_softmax_vjp(z, U, axis=axis),
         lambda z, dz: derivatives.log_softmax_hvp(z, U, dz, axis=axis)),
        (lambda z: jax.nn.softmax(z, axis), lambda z, dz: derivatives.logsumexp_hvp(z, dz, axis=axis)),
    ):
        check_jvp(first, lambda x, dx: (first(*x), second(x[0], dx[0])), (Z,), rtol=1e-6)  # noqa: B023


def test_finite_differences_of_cross_entropy(float64):
    def gradient(z):
        return derivatives.cross_entropy_grad(z, U)

    def entropy(z):
        return -jnp.sum(U * jax.nn.log_softmax(z))

    check_vjp(entropy, lambda z: (entropy(z), lambda c: (c * gradient(z),)), (Z,), rtol=1e-6)
    check_jvp(gradient, lambda x, dx: (gradient(*x), derivatives.cross_entropy_hvp(x[0], U, dx[0])), (Z,), rtol=1e-6)


def test_the_jacobian_of_softmax(float64):
    J, shifted = map(np.asarray, map(jax.jit(jax.vmap(derivatives.softmax_jacobian)), (Z, Z + 100.0)))
    assert_close(J, J.swapaxes(1, 2), 1e-15)
    np.testing.assert_allclose(J.sum(axis=-1), 0, atol=1e-15)
    eigenvalues = np.linalg.eigvalsh(J)
    np.testing.assert_allclose(eigenvalues[:, 0], 0, atol=1e-15)
    assert (eigenvalues[:, 1] > 0).all()  # a constant is all that softmax does not see
    assert (eigenvalues[:, -1] <= 0.5).all()  # so softmax is Lipschitz with 1/2
    assert_close(shifted, J, 1e-12)
    assert_close(derivatives.softmax_jvp(Z, DZ), np.einsum("bij,bj->bi", J, DZ), 1e-14)


def test_jacobians_of_many_rows(float64):
    assert_close(derivatives.softmax_jacobian(Z), np.stack(list(map(derivatives.softmax_jacobian, Z))), 1e-15)


def test_logits_of_ten_thousand_leave_everything_finite(float64):
    z = 1e4 * Z
    chex.assert_tree_all_finite((
        derivatives.softmax_jacobian(z[0]), derivatives.softmax_hvp(z, U, DZ), derivatives.log_softmax_vjp(z, U),
        derivatives.log_softmax_hvp(z, U, DZ), derivatives.cross_entropy_grad(z, U)))


def test_shapes_that_differ_are_refused():
    z, wrong = jnp.ones((2, 3)), jnp.ones((2, 1))
    for call, name in (
        (lambda: derivatives.softmax_jvp(z, wrong), "tangent"),
        (lambda: derivatives.softmax_vjp(z, wrong), "cotangent"),
        (lambda: derivatives.softmax_hvp(z, wrong, z), "cotangent"),
        (lambda: derivatives.softmax_hvp(z, z, wrong), "tangent"),
        (lambda: derivatives.log_softmax_jvp(z, wrong), "tangent"),
        (lambda: derivatives.log_softmax_vjp(z, wrong), "cotangent"),
        (lambda: derivatives.log_softmax_hvp(z, wrong, z), "cotangent"),
        (lambda: derivatives.log_softmax_hvp(z, z, wrong), "tangent"),
        (lambda: derivatives.logsumexp_hvp(z, wrong), "tangent"),
        (lambda: derivatives.cross_entropy_grad(z, wrong), "target"),
        (lambda: derivatives.cross_entropy_hvp(z, z, wrong), "tangent"),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must have the shape of logits, \(2, 3\), got \(2, 1\)"):
            call()
