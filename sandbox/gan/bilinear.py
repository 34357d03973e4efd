"""Games whose field is linear: what any smooth game is near a point of rest."""

import jax

from sandbox.gan.game import Game

__all__ = ["bilinear_game"]


def bilinear_game(A: jax.Array, *, P: jax.Array | None = None, Q: jax.Array | None = None,
                  B: jax.Array | None = None) -> Game:
    """f(x, y) = xᵀ A y + q,   g(y, x) = −xᵀ B y − q,   q = ½ xᵀ P x − ½ yᵀ Q y.

    At rest at 0. Without P and Q, and with B = A, gradient flow circles for ever, at ± i times A's singular values.

    Args:
      A: (N, M). P: (N, N), Q: (M, M); none for 0. B: (N, M); none for A, which makes it zero-sum.
    Returns:
      Game of x (N,) and y (M,).
    Raises:
      ValueError: the shapes do not fit.

    >>> bilinear_game(2 * jnp.eye(1)).generator(jnp.ones(1), 3 * jnp.ones(1))
    Array(6., dtype=float32)
    """
    rows, columns = A.shape
    for name, matrix, shape in (("B", B, A.shape), ("P", P, (rows, rows)), ("Q", Q, (columns, columns))):
        if matrix is not None and matrix.shape != shape:
            raise ValueError(f"{name} must be {shape}, as A is {A.shape}, got {matrix.shape}")

    def value(coupling: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        own = 0 if P is None else x @ P @ x / 2
        others = 0 if Q is None else y @ Q @ y / 2
        return x @ coupling @ y + own - others

    return Game(lambda x, y: value(A, x, y), lambda y, x: -value(A if B is None else B, x, y))
