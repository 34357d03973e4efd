"""What suits the data: the settings that players learn with, unless flags say otherwise."""

from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """steps: of the generator. batch_size: pairs. latent_size: numbers that a sample is made of. generator_rate,
    discriminator_rate: Adam's. generator_fall: what the generator's is multiplied by along the way. constant: share of
    the steps before it falls; the discriminator's stays, to see ever finer what is forged. momentum: Adam's β₁. r1, r2:
    penalties at first. penalty_fall: what they are multiplied by along the way. average: share of the steps that the
    moving average of the weights remembers. widths: of hidden layers, or channels of each size of an image. waves:
    octaves that the discriminator sees of a point."""

    steps: int
    batch_size: int
    latent_size: int
    generator_rate: float
    discriminator_rate: float
    generator_fall: float
    constant: float
    momentum: float
    r1: float
    r2: float
    penalty_fall: float
    average: float
    widths: tuple[int, ...]
    waves: int = 0


GRID = Recipe(steps=14_000, batch_size=256, latent_size=2, generator_rate=4e-3, discriminator_rate=4e-3,
              generator_fall=0.003, constant=0.4, momentum=0.0, r1=1.0, r2=1.0, penalty_fall=1e-3, average=0.01,
              widths=(128, 128, 128), waves=6)
DIGITS = Recipe(steps=1500, batch_size=64, latent_size=32, generator_rate=5e-4, discriminator_rate=5e-4,
                generator_fall=0.05, constant=0.5, momentum=0.0, r1=1.0, r2=1.0, penalty_fall=0.1, average=0.05,
                widths=(64, 32))
CLOTHES = DIGITS._replace(steps=30_000, batch_size=256, latent_size=64, widths=(256, 128, 64))
RING = GRID._replace(steps=8000, penalty_fall=2e-4)
RECIPES = {"ring": RING, "embedded": RING, "grid": GRID, "digits": DIGITS, "stacked-digits": DIGITS}


def recipe_for(config: Any) -> Recipe:
    """The recipe of the data that a config names, with the flags over it."""
    recipe = RECIPES.get(config.dataset, CLOTHES)
    given = {name: getattr(config, name) for name in Recipe._fields}
    return recipe._replace(**{name: value for name, value in given.items() if value is not None})
