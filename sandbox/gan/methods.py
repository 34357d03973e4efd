"""How two players move in a step, each by its own optimiser: both at once, in turn, or with a look ahead."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from sandbox.gan.game import Game, Players, losses_and_gradients
from sandbox.tracing import is_concrete

__all__ = [
    "Method", "Moved", "alternating", "apply_gradient", "consensus", "extra_gradient", "move_both", "optimistic",
    "simultaneous",
]


class Moved(NamedTuple):
    """What a step did. params, opt_states: after it. losses, gradients: of each player, where the step took them."""

    params: Players
    opt_states: Players
    losses: Players
    gradients: Players


class Method(NamedTuple):
    """A way to move.

    move: (draw, optimizers, params, opt_states) -> Moved, each of the last three of both Players; draw(i) is the game
    on the step's i-th batch, i from 0. mixed: whether it asks how a loss changes with the opponent, so that opponents
    must not be held.
    """

    move: Callable[[Callable[[Any], Game], Players, Players, Players], Moved]
    mixed: bool = False


def simultaneous() -> Method:
    """Both descend at once, each from where the other was.

    x ← x + U_x(∇_x f(x, y)),   y ← y + U_y(∇_y g(y, x)),   U of the optimisers.

    Turns outwards where the field only turns: by √(1 + η² σ²) a step in a bilinear game.

    >>> simultaneous().mixed
    False
    """
    def move(draw, optimizers: Players, params: Players, opt_states: Players) -> Moved:
        losses, gradients = losses_and_gradients(draw(0), params)
        return Moved(*move_both(optimizers, gradients, opt_states, params), losses, gradients)

    return Method(move)


def alternating(critic_steps: int = 1, *, redraw: bool = True) -> Method:
    """The discriminator first, k steps with a batch for each; then the generator, against what has come of it.

    y ← y + U_y(∇_y g(y, x)),  k times;   x ← x + U_x(∇_x f(x, y)).

    Each gradient is by its own player's parameters alone, and once a step of that player's.

    Args:
      critic_steps: k. redraw: whether the generator gets a batch of its own, rather than the discriminator's last.
    Returns:
      Method; losses and gradient of the discriminator are those of its last step.
    Raises:
      ValueError: critic_steps is below 1.
      TypeError: critic_steps is no integer.
    Source: Goodfellow et al. 2014, algorithm 1.

    >>> alternating(5).mixed
    False
    """
    if isinstance(critic_steps, bool) or not isinstance(critic_steps, int):
        raise TypeError(f"critic_steps must be an integer, got {critic_steps!r}")
    if critic_steps < 1:
        raise ValueError(f"critic_steps must be at least 1, got {critic_steps}")

    def move(draw, optimizers: Players, params: Players, opt_states: Players) -> Moved:
        x = params.generator

        def criticise(game: Game, y: Any, memory: Any) -> tuple:
            loss, by_y = jax.value_and_grad(game.discriminator)(y, x)
            return *apply_gradient(optimizers.discriminator, by_y, memory, y), loss, by_y

        game = draw(0)
        critic = criticise(game, params.discriminator, opt_states.discriminator)
        if critic_steps > 1:
            critic = jax.lax.fori_loop(1, critic_steps, lambda i, now: criticise(draw(i), *now[:2]), critic)
        y, y_memory, g, by_y = critic
        if redraw or critic_steps > 1:
            game = draw(critic_steps if redraw else critic_steps - 1)
        f, by_x = jax.value_and_grad(game.generator)(x, y)
        x, x_memory = apply_gradient(optimizers.generator, by_x, opt_states.generator, x)
        return Moved(Players(x, y), Players(x_memory, y_memory), Players(f, g), Players(by_x, by_y))

    return Method(move)


def extra_gradient() -> Method:
    """Both look a step ahead, and take the step that they would take from there.

    z̃ = z + U(ξ(z)),   z ← z + U(ξ(z̃)),   ξ = (∇_x f, ∇_y g) at z = (x, y), on one batch.

    What the optimisers remember of the look ahead is dropped, so their schedules count a step once.

    Returns:
      Method; losses and gradients are those before the look.
    Source: Korpelevich 1976, "The extragradient method for finding saddle points"; Gidel et al. 2019, "A variational
      inequality perspective on GANs"; on one batch: Mishchenko et al. 2020.

    >>> extra_gradient().mixed
    False
    """
    def move(draw, optimizers: Players, params: Players, opt_states: Players) -> Moved:
        game = draw(0)
        losses, gradients = losses_and_gradients(game, params)
        ahead, _ = move_both(optimizers, gradients, opt_states, params)
        _, from_there = losses_and_gradients(game, ahead)
        return Moved(*move_both(optimizers, from_there, opt_states, params), losses, gradients)

    return Method(move)


def optimistic(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimiser that goes on by what its update has changed: u_t ← 2 u_t − u_{t−1}.

    Made of optax's own `scale_by_optimistic_gradient`, after the optimiser; moved by `simultaneous`, a guess at the
    gradient that `extra_gradient` takes. Of `optax.sgd` it is `optax.optimistic_gradient_descent`.

    Args:
      optimizer: of one player.
    Returns:
      Transformation; the first update is the optimiser's.
    Source: Popov 1980; Daskalakis et al. 2018, "Training GANs with optimism", algorithm 1.

    >>> once_more = optimistic(optax.sgd(1.0))
    >>> _, state = once_more.update(jnp.array([1.0]), once_more.init(jnp.zeros(1)))
    >>> once_more.update(jnp.array([3.0]), state)[0]
    Array([-5.], dtype=float32)
    """
    return optax.chain(optimizer, optax.scale_by_optimistic_gradient())


def consensus(weight: float | jax.Array) -> Method:
    """Both descend, and both go to where the field is at rest: along ξ + β ξ′ᵀ ξ, the second half being ∇ ½ β ‖ξ‖².

    One product by the transposed Jacobian; no matrix.

    Args:
      weight: β >= 0, or a traced scalar.
    Returns:
      Method; its gradients are ξ, without what is added.
    Raises:
      ValueError: weight is below 0.
    Source: Mescheder, Nowozin, Geiger 2017, "The numerics of GANs", algorithm 2.

    >>> consensus(0.1).mixed
    True
    """
    if is_concrete(weight) and not weight >= 0:
        raise ValueError(f"weight must be at least 0, got {weight}")

    def move(draw, optimizers: Players, params: Players, opt_states: Players) -> Moved:
        game = draw(0)

        def gradients_and_losses(params: Players) -> tuple[Players, Players]:
            losses, gradients = losses_and_gradients(game, params)
            return gradients, losses

        gradients, transposed, losses = jax.vjp(gradients_and_losses, params, has_aux=True)
        to_rest, = transposed(gradients)
        direction = jax.tree.map(lambda down, rest: down + weight * rest, gradients, to_rest)
        return Moved(*move_both(optimizers, direction, opt_states, params), losses, gradients)

    return Method(move, mixed=True)


def apply_gradient(optimizer: optax.GradientTransformation, gradient: Any, opt_state: Any,
                   params: Any) -> tuple[Any, Any]:
    """Parameters and the optimiser's state after its step along a gradient.

    >>> apply_gradient(optax.sgd(0.5), jnp.array([2.0]), optax.sgd(0.5).init(jnp.zeros(1)), jnp.zeros(1))[0]
    Array([-1.], dtype=float32)
    """
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def move_both(optimizers: Players, directions: Players, opt_states: Players,
              params: Players) -> tuple[Players, Players]:
    """The same for each player.

    >>> sgd, zero = optax.sgd(0.5), jnp.zeros(1)
    >>> memory = Players(sgd.init(zero), sgd.init(zero))
    >>> move_both(Players(sgd, sgd), Players(zero + 2, zero + 4), memory, Players(zero, zero))[0].discriminator
    Array([-2.], dtype=float32)
    """
    moved = [apply_gradient(*each) for each in zip(optimizers, directions, opt_states, params)]
    (x, x_memory), (y, y_memory) = moved
    return Players(x, y), Players(x_memory, y_memory)
