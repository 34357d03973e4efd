"""Competitive gradient descent: each player steps in answer to the step that the other will take."""

import jax
from jax.scipy.sparse.linalg import cg, gmres

from sandbox.gan.game import Players
from sandbox.gan.methods import Method, Moved, move_both
from sandbox.tracing import is_concrete

__all__ = ["competitive"]


def competitive(step_sizes: Players, *, zero_sum: bool = False, tolerance: float = 1e-5,
                max_iterations: int = 20) -> Method:
    """Both go to the Nash equilibrium of the game as it looks from here, bilinear with a price on distance.

    Δx = −η_x (∇_x f + ∇²_xy f Δy),   Δy = −η_y (∇_y g + ∇²_yx g Δx); so
    (I − η_x η_y ∇²_xy f ∇²_yx g) Δx = −η_x (∇_x f − η_y ∇²_xy f ∇_y g).

    Solved for Δx by products with the mixed derivatives, forward over reverse, and never a matrix; Δy by the line
    above. In a zero-sum game the matrix is I + η_x η_y ∇²_xy f (∇²_xy f)ᵀ, symmetric and positive: conjugate gradients
    do; else GMRES does.

    The optimisers are handed −Δ/η: `optax.sgd` of these step sizes makes Δ of it, and others what they make of a
    gradient.

    Args:
      step_sizes: η_x, η_y > 0, or traced scalars. zero_sum: whether g = −f.
      tolerance: > 0, of the residual relative to the right side. max_iterations: of conjugate gradients, or basis
        vectors of GMRES (which keeps them all, and starts again once, from what it found); a product with each of the
        mixed derivatives in each.
    Returns:
      Method; its gradients are ∇_x f and ∇_y g.
    Raises:
      ValueError: a step size or the tolerance is not above 0, or max_iterations is below 1.
    Source: Schäfer, Anandkumar 2019, "Competitive gradient descent", algorithm 1.

    >>> competitive(Players(0.1, 0.1)).mixed
    True
    """
    for name, value in (("step_sizes", step_sizes[0]), ("step_sizes", step_sizes[1]), ("tolerance", tolerance)):
        if is_concrete(value) and not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
    eta_x, eta_y = step_sizes

    def solve(product, right):
        if zero_sum:
            return cg(product, right, tol=tolerance, maxiter=max_iterations)[0]
        # Step by step, not "batched": that solves normal equations, which are singular once a small basis is full.
        return gmres(product, right, tol=tolerance, restart=max_iterations, maxiter=2, solve_method="incremental")[0]

    def move(draw, optimizers: Players, params: Players, opt_states: Players) -> Moved:
        (x, y), game = params, draw(0)
        by_x, xy, f = jax.linearize(lambda y: jax.value_and_grad(game.generator)(x, y)[::-1], y, has_aux=True)
        by_y, yx, g = jax.linearize(lambda x: jax.value_and_grad(game.discriminator)(y, x)[::-1], x, has_aux=True)
        along_x = solve(lambda v: _add(v, -eta_x * eta_y, xy(yx(v))), _add(by_x, -eta_y, xy(by_y)))
        along_y = _add(by_y, -eta_x, yx(along_x))
        moved = move_both(optimizers, Players(along_x, along_y), opt_states, params)
        return Moved(*moved, Players(f, g), Players(by_x, by_y))

    return Method(move, mixed=True)


def _add(left, scale, right):
    return jax.tree.map(lambda one, other: one + scale * other, left, right)
