"""How the two learn: what they start from, and a step; the experiment and its benchmark take it from here."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.forging.forger import Forger
from experiments.forging.recipes import Recipe
from sandbox import gan
from sandbox.averaging import averaged, with_average
from sandbox.gan import Criterion, Players, Watched
from sandbox.tracing import is_concrete

PENALTY_FALLS = 0.8  # of the steps; then it stays
METHODS = tuple(gan.LINEARISED)


class Rules(NamedTuple):
    """criterion: what the players want. method: one of METHODS. critic_steps: of alternating. consensus_weight: β, of
    consensus. gradient_penalty: λ. diverged_beyond: norm of a gradient at which a game is stopped."""

    criterion: Criterion = gan.RELATIVISTIC
    method: str = "alternating"
    critic_steps: int = 1
    consensus_weight: float = 0.1
    gradient_penalty: float = 0.0
    diverged_beyond: float = 1e6


class Play(NamedTuple):
    """initial: (key) -> state. step: (state, *data) -> (state, metrics)."""

    initial: Callable[[jax.Array], Watched]
    step: Callable[..., tuple[Watched, dict[str, jax.Array]]]


def playing(forger: Forger, sample: Callable[..., gan.Pairs], recipe: Recipe, rules: Rules) -> Play:
    """The game of a recipe: averaged, and halted where it diverges.

    Args:
      forger: players that have not learned yet. sample: (key, *data) -> a batch of recipe.batch_size.
    """
    of_both = {"generate": forger.networks.generator.apply, "discriminate": forger.networks.discriminator.apply,
               "criterion": rules.criterion}

    def losses(step: jax.Array) -> Players:
        r1, r2 = (penalty(at_first, recipe, step) for at_first in (recipe.r1, recipe.r2))
        return Players(partial(gan.generator_loss, **of_both),
                       partial(gan.discriminator_loss, **of_both, r1=r1, r2=r2,
                               gradient_penalty=rules.gradient_penalty))

    rates = generator_rate(recipe), recipe.discriminator_rate
    optimizers = Players(*(optimizer_of(rate, recipe, rules) for rate in rates))
    step = gan.game_step(losses, optimizers, sample, method=method_of(rules, recipe))
    decay = 1 - 1 / max(1.0, recipe.average * recipe.steps)

    def initial(key: jax.Array) -> Watched:
        to_draw, to_learn = jax.random.split(key)
        return gan.watched(with_average(gan.init_game(forger.init(to_draw), optimizers, to_learn)))

    return Play(initial, gan.halted(averaged(step, decay=decay), limit=rules.diverged_beyond))


def penalty(at_first: float | jax.Array, recipe: Recipe, step: jax.Array) -> jax.Array | float:
    """γ after some steps: down along a geometric line, then constant; 0 stays the number, which costs nothing.

    >>> from experiments.forging.recipes import GRID
    >>> recipe = GRID._replace(steps=100, penalty_fall=0.01)
    >>> [round(float(penalty(1.0, recipe, jnp.array(step))), 3) for step in (0, 40, 80, 100)]
    [1.0, 0.1, 0.01, 0.01]
    """
    if is_concrete(at_first) and at_first == 0:
        return 0.0
    return at_first * recipe.penalty_fall ** jnp.clip(step / (PENALTY_FALLS * recipe.steps), 0, 1)


def generator_rate(recipe: Recipe) -> optax.Schedule:
    """Constant, then down along a geometric line to the end.

    A step's noise moves a whole mode to and fro. A discriminator sees many such steps together, and takes a mode that
    is too narrow for one that is right: how narrow, goes with the rate.

    >>> from experiments.forging.recipes import GRID
    >>> rate = generator_rate(GRID._replace(steps=100, generator_rate=1.0, generator_fall=0.01, constant=0.5))
    >>> [round(float(rate(step)), 3) for step in (0, 50, 75, 100)]
    [1.0, 1.0, 0.1, 0.01]
    """
    constant = round(recipe.constant * recipe.steps)
    return optax.exponential_decay(recipe.generator_rate, max(1, recipe.steps - constant), recipe.generator_fall,
                                   transition_begin=constant)


def optimizer_of(rate: float | optax.Schedule, recipe: Recipe, rules: Rules) -> optax.GradientTransformation:
    """Adam; its updates doubled, less the last one, where players are optimistic."""
    adam = optax.adam(rate, b1=recipe.momentum, b2=0.99)
    return gan.optimistic(adam) if rules.method == "optimistic" else adam


def method_of(rules: Rules, recipe: Recipe) -> gan.Method:
    """How players move; each by its own optimiser, whatever the plan says of steps."""
    rates = Players(recipe.generator_rate, recipe.discriminator_rate)
    zero_sum = rules.criterion in (gan.MINIMAX, gan.WASSERSTEIN) and not (
        recipe.r1 or recipe.r2 or rules.gradient_penalty)
    plan = gan.Plan(rules.method, rates, rules.critic_steps, rules.consensus_weight, zero_sum)
    return gan.method_of(plan)[0]
