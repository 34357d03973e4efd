"""A game of two players: the field along which both descend at once, its Jacobian, and how that turns and shrinks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

__all__ = [
    "Game", "Players", "eigenvalues", "field", "field_norm", "game_of", "gradients", "jacobian", "losses_and_gradients",
    "losses_of", "tree_norm",
]


class Players(NamedTuple):
    """Something of each player: parameters, losses, optimisers, step sizes."""

    generator: Any
    discriminator: Any


class Game(NamedTuple):
    """What each player minimises, by its own parameters first: f(x, y) of the generator, g(y, x) of the discriminator.

    Both return scalars.
    """

    generator: Callable[[Any, Any], jax.Array]
    discriminator: Callable[[Any, Any], jax.Array]


def game_of(losses: Players, batch: Any, *, held: bool = True) -> Game:
    """The game that two losses play on a batch.

    Args:
      losses: two functions (params, batch, *, opponent) -> (scalar, aux). batch: of both.
      held: whether the opponent stands still, as losses say by stop_gradient. If not, `held=False` is handed to both
        losses: for `jacobian`, and for whoever asks how the opponent answers.
    Returns:
      Game.

    >>> def loss(params, batch, *, opponent): return batch * params * opponent, None
    >>> float(gradients(game_of(Players(loss, loss), 2.0), Players(3.0, 5.0)).generator)
    10.0
    """
    how = {} if held else {"held": False}

    def of(loss):
        return lambda own, other: loss(own, batch, opponent=other, **how)[0]

    return Game(of(losses.generator), of(losses.discriminator))


def losses_of(game: Game) -> Players:
    """The other way round: the two losses (params, batch, *, opponent) of a game that asks for no batch.

    >>> game = Game(lambda x, y: x * y, lambda y, x: -x * y)
    >>> losses_of(game).discriminator(2.0, None, opponent=3.0)
    (-6.0, None)
    """
    def of(play):
        def loss(params, batch, *, opponent, held=True):
            return play(params, jax.lax.stop_gradient(opponent) if held else opponent), None
        return loss

    return Players(of(game.generator), of(game.discriminator))


def losses_and_gradients(game: Game, players: Players) -> tuple[Players, Players]:
    """What `gradients` is, after the losses (f, g).

    >>> losses, _ = losses_and_gradients(Game(lambda x, y: x * y, lambda y, x: -x * y), Players(2.0, 3.0))
    >>> float(losses.generator), float(losses.discriminator)
    (6.0, -6.0)
    """
    x, y = players
    f, by_x = jax.value_and_grad(game.generator)(x, y)
    g, by_y = jax.value_and_grad(game.discriminator)(y, x)
    return Players(f, g), Players(by_x, by_y)


def gradients(game: Game, players: Players) -> Players:
    """ξ = (∇_x f, ∇_y g): each player's loss by its own parameters.

    Args:
      game: f and g. players: x and y, any pytrees.
    Returns:
      As the players.
    Source: Mescheder, Nowozin, Geiger 2017, "The numerics of GANs"; Balduzzi et al. 2018, "The
      mechanics of n-player differentiable games".

    >>> float(gradients(Game(lambda x, y: x * y, lambda y, x: -x * y), Players(2.0, 3.0)).discriminator)
    -2.0
    """
    return losses_and_gradients(game, players)[1]


def field(game: Game, players: Players) -> Players:
    """The velocity v = −ξ of gradient flow, in which both players descend at once.

    It need not be a gradient of anything: it may turn.

    Args:
      game, players: see `gradients`.
    Returns:
      As the players.

    >>> float(field(Game(lambda x, y: x * y, lambda y, x: -x * y), Players(2.0, 3.0)).generator)
    -3.0
    """
    return jax.tree.map(jnp.negative, gradients(game, players))


def field_norm(game: Game, players: Players) -> jax.Array:
    """‖v‖ over both players; 0 where the game is at rest.

    >>> float(field_norm(Game(lambda x, y: x * y, lambda y, x: -x * y), Players(3.0, 4.0)))
    5.0
    """
    return tree_norm(gradients(game, players))


def tree_norm(tree: Any) -> jax.Array:
    """√ of the sum of all squares in a pytree.

    >>> tree_norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(5., dtype=float32)
    """
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


def jacobian(game: Game, players: Players) -> jax.Array:
    """J = v′, the field by all parameters of both players, forward over reverse.

    J = −[[∇²_xx f, ∇²_xy f], [∇²_yx g, ∇²_yy g]].

    At rest, gradient flow comes back where every eigenvalue of J has a negative real part; the imaginary parts turn.

    Args:
      game: opponents not held. players: x, y of n and m numbers in all.
    Returns:
      (n + m, n + m), the generator's numbers first.
    Source: Mescheder, Nowozin, Geiger 2017, "The numerics of GANs".

    >>> jacobian(Game(lambda x, y: x * y, lambda y, x: -x * y), Players(jnp.float32(2), jnp.float32(3)))
    Array([[-0., -1.],
           [ 1.,  0.]], dtype=float32)
    """
    flat, unravel = ravel_pytree(players)
    return jax.jacfwd(lambda numbers: ravel_pytree(field(game, unravel(numbers)))[0])(flat)


def eigenvalues(matrix: jax.Array) -> jax.Array:
    """Eigenvalues of a square matrix, in no order.

    Of two rows: λ = m ± √(((a − d)/2)² + b c), m = (a + d)/2, on any device. Larger ones JAX cannot take on a TPU:
    bring the matrix to the CPU first, jax.device_put(matrix, jax.devices("cpu")[0]).

    Args:
      matrix: (..., N, N) real.
    Returns:
      (..., N) complex.
    Raises:
      ValueError: the matrix is not square.

    >>> eigenvalues(jnp.array([[0.0, -2.0], [2.0, 0.0]]))
    Array([0.+2.j, 0.-2.j], dtype=complex64)
    """
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"matrix must be square, got {matrix.shape}")
    if matrix.shape[-1] != 2:
        return jnp.linalg.eigvals(matrix)
    a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
    mean, away = (a + d) / 2, jnp.sqrt(jax.lax.complex(((a - d) / 2) ** 2 + b * c, jnp.zeros_like(a)))
    return jnp.stack([mean + away, mean - away], axis=-1)
