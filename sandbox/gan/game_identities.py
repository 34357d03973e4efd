"""What games satisfy: Jacobians by hand against JAX's, and where their eigenvalues lie."""

from functools import partial

import jax
import jax.numpy as jnp

from sandbox.gan import game_derivatives
from sandbox.gan.bilinear import bilinear_game
from sandbox.gan.criteria import CRITERIA
from sandbox.gan.dirac import dirac_gan
from sandbox.gan.game import Game, Players, eigenvalues, field, jacobian
from sandbox.identities import Identity, normals

__all__ = ["GAME_IDENTITIES"]

ROWS, COLUMNS = 3, 2
POINTS = 5


def _places(key, dtype):
    """(θ, ψ) here and there, and penalties; no fake's logit so near −1, where the hinge bends, as to round over it."""
    theta, psi, r1 = normals((POINTS,), (POINTS,), (POINTS,))(key, dtype)
    near = jnp.abs(psi * theta + 1) < 1e-3
    return jnp.where(near, 0, theta), psi, jnp.abs(r1)


def _dirac_by_hand(criterion, theta, psi, r1):
    def one(theta, psi, r1):
        how = {"criterion": criterion.name, "r1": r1}
        return (game_derivatives.dirac_field(Players(theta, psi), **how),
                game_derivatives.dirac_jacobian(Players(theta, psi), **how))
    return jax.vmap(one)(theta, psi, r1)


def _dirac_by_jax(criterion, theta, psi, r1):
    def one(theta, psi, r1):
        game = dirac_gan(criterion, r1=r1 / 3, r2=2 * r1 / 3)
        return jnp.stack(field(game, Players(theta, psi))), jacobian(game, Players(theta, psi))
    return jax.vmap(one)(theta, psi, r1)


def _bilinear_by_jax(A, P, Q, B, x, y):
    return jacobian(bilinear_game(A, P=P, Q=Q, B=B), Players(x, y))


def _penalties(key, dtype):
    """Under and over 1, and not near it, where the eigenvalues meet and a rounding moves them by its root."""
    drawn, = normals((POINTS,))(key, dtype)
    return jnp.concatenate([0.9 * jax.nn.sigmoid(drawn), 1.1 + jnp.abs(drawn)]),


def _dirac_spectrum(r1):
    rest = Players(jnp.zeros((), r1.dtype), jnp.zeros((), r1.dtype))
    return jax.vmap(lambda r1: eigenvalues(jacobian(dirac_gan(r1=r1), rest)))(r1)


def _zero_sum(x, y, W):
    """A game of no special form, with its value and the value's curvature to both."""
    def value(x, y):
        return jnp.sum(jnp.tanh(W @ x) * jnp.exp(-(y**2))) + jnp.sum(jnp.sin(x)) * jnp.sum(y)
    return Game(value, lambda y, x: -value(x, y)), value


def _off_diagonal(x, y, W):
    J = jacobian(_zero_sum(x, y, W)[0], Players(x, y))
    return J[:ROWS, ROWS:], J[ROWS:, :ROWS]


def _of_one_value(x, y, W):
    mixed = jax.jacrev(jax.grad(_zero_sum(x, y, W)[1]), argnums=1)(x, y)
    return -mixed, mixed.T


def _squares_of_spectrum(A):
    """Each −λ² of a bilinear game, ascending, and −Jᵀ: J is nothing but rotation."""
    J = jacobian(bilinear_game(A), Players(jnp.zeros(A.shape[0], A.dtype), jnp.zeros(A.shape[1], A.dtype)))
    return jnp.sort(jnp.linalg.eigvalsh(-J @ J)), -J.T


def _squares_of_singular_values(A):
    """Twice each σ², and 0 for the rows that A has too many."""
    squares = jnp.linalg.svd(A, compute_uv=False) ** 2
    rows, columns = A.shape
    spectrum = jnp.sort(jnp.concatenate([squares, squares, jnp.zeros(abs(rows - columns), A.dtype)]))
    P, Q = jnp.zeros((rows, rows), A.dtype), jnp.zeros((columns, columns), A.dtype)
    return spectrum, game_derivatives.bilinear_jacobian(A, P, Q, A)


GAME_IDENTITIES = (
    *(Identity(f"field and J of Dirac-GAN, {name}", partial(_dirac_by_hand, criterion),
               partial(_dirac_by_jax, criterion), _places) for name, criterion in CRITERIA.items()),
    Identity("J of xᵀAy and squares = [[−P, −A], [Bᵀ, −Q]]",
             lambda A, P, Q, B, x, y: game_derivatives.bilinear_jacobian(A, P, Q, B), _bilinear_by_jax,
             normals((ROWS, COLUMNS), (ROWS, ROWS), (COLUMNS, COLUMNS), (ROWS, COLUMNS), (ROWS,), (COLUMNS,))),
    Identity("λ of Dirac-GAN with R1 = −γ/2 ± √(γ²/4 − ¼)", game_derivatives.dirac_eigenvalues, _dirac_spectrum,
             _penalties),
    Identity("J of a zero-sum game: J_yx = −J_xyᵀ", _off_diagonal, _of_one_value,
             normals((ROWS,), (COLUMNS,), (COLUMNS, ROWS))),
    Identity("−J² of xᵀAy: σ² of A, twice; J = −Jᵀ", _squares_of_spectrum, _squares_of_singular_values,
             normals((ROWS, COLUMNS))),
)
