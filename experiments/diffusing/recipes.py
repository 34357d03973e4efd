"""What suits the data: the settings that a score is learned with, unless flags say otherwise."""

from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """steps: of the optimiser. batch_size: rows. learning_rate: Adam's, at its highest. average: share of the steps
    that the moving average of the weights remembers. width, layers: of the perceptron. least_level, most_level: noise,
    in the units of the data. level_mean, level_std: of the log of the levels learned from. channels: of the
    convolutions about the perceptron, of images. classless: share of the images whose class is not told."""

    steps: int
    batch_size: int
    learning_rate: float
    average: float
    width: int
    layers: int
    least_level: float
    most_level: float
    level_mean: float
    level_std: float
    channels: int = 8
    classless: float = 0.0


POINTS = Recipe(steps=8000, batch_size=512, learning_rate=3e-3, average=0.2, width=128, layers=3,
                least_level=0.01, most_level=40.0, level_mean=0.8, level_std=1.2)
DIGITS = Recipe(steps=2000, batch_size=256, learning_rate=1e-3, average=0.2, width=256, layers=3,
                least_level=0.005, most_level=40.0, level_mean=0.7, level_std=1.3, classless=0.5)
CLOTHES = DIGITS._replace(steps=60_000, width=1024, channels=32, most_level=640.0, level_mean=3.4)
RECIPES = {"digits": DIGITS}


def recipe_for(config: Any, of_points: bool) -> Recipe:
    """The recipe of the data that a config names, with the flags over it."""
    recipe = recipe_of(config.dataset, of_points)
    given = {name: getattr(config, name) for name in Recipe._fields}
    return recipe._replace(**{name: value for name, value in given.items() if value is not None})


def recipe_of(dataset: str, of_points: bool) -> Recipe:
    """The recipe of a data set, without flags."""
    return POINTS if of_points else RECIPES.get(dataset, CLOTHES)
