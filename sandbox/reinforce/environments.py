"""Every environment there is, by name."""

from difflib import get_close_matches

from sandbox.reinforce.acrobot import ACROBOT
from sandbox.reinforce.bandit import BANDIT
from sandbox.reinforce.cartpole import CARTPOLE
from sandbox.reinforce.environment import Environment
from sandbox.reinforce.grid import GRID
from sandbox.reinforce.mountain_car import MOUNTAIN_CAR
from sandbox.reinforce.pendulum import PENDULUM
from sandbox.reinforce.regulator import REGULATOR

__all__ = ["ENVIRONMENTS", "environment_named"]

ENVIRONMENTS = (CARTPOLE, ACROBOT, PENDULUM, MOUNTAIN_CAR, GRID, BANDIT, REGULATOR)


def environment_named(name: str) -> Environment:
    """One of ENVIRONMENTS.

    Raises:
      ValueError: there is none of that name.

    >>> environment_named("CartPole")
    Traceback (most recent call last):
    ValueError: there is no environment 'CartPole'; perhaps CartPole-v1? All: CartPole-v1, Acrobot-v1, ...
    """
    by_name = {environment.name: environment for environment in ENVIRONMENTS}
    if name not in by_name:
        close = get_close_matches(name, by_name)
        hint = f" perhaps {' or '.join(close)}?" if close else ""
        raise ValueError(f"there is no environment {name!r};{hint} All: {', '.join(by_name)}")
    return by_name[name]
