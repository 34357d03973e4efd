"""What suits an environment: the settings that agents learn with in it, unless flags say otherwise."""

from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """steps: of the environment, for each agent. learning_rate: Adam's, at first. discount: γ. trace: λ. reward_scale:
    of the rewards that are learned from. environments: side by side. unroll: steps of each in a batch. passes: over a
    batch. minibatches: of each pass."""

    steps: int
    learning_rate: float
    discount: float
    trace: float
    reward_scale: float
    environments: int
    unroll: int
    passes: int
    minibatches: int

    @property
    def batch_steps(self) -> int:
        """Of the environment, in a batch."""
        return self.environments * self.unroll


USUAL = Recipe(steps=200_000, learning_rate=3e-3, discount=0.99, trace=0.95, reward_scale=0.1, environments=8,
               unroll=32, passes=2, minibatches=8)
RECIPES = {
    "CartPole-v1": USUAL._replace(steps=50_000, reward_scale=0.05),
    "Pendulum-v1": USUAL._replace(steps=500_000, learning_rate=1e-3, discount=0.95, unroll=128, passes=10),
}


def recipe_for(config: Any) -> Recipe:
    """The recipe of the environment that a config names, with the flags over it."""
    recipe = RECIPES.get(config.env, USUAL)
    given = {name: getattr(config, name) for name in Recipe._fields}
    return recipe._replace(**{name: value for name, value in given.items() if value is not None})
