"""A grid world: a few rooms, a goal, and a floor so slippery that a step may go astray."""

from collections.abc import Sequence

import numpy as np

from sandbox.reinforce.tabular import MDP, tabular_environment

__all__ = ["GRID", "grid_world"]

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left: the actions 0 to 3
PLAN, SLIP, HORIZON = ("S..", ".#.", "..G"), 0.2, 20


def grid_world(plan: Sequence[str] = PLAN, slip: float = SLIP) -> MDP:
    """Every step costs 1 until the goal; it goes where it was meant to, or to one of the two sides.

    p(meant) = 1 − slip,   p(left of it) = p(right of it) = slip / 2; into a wall, or over the edge, is to stay.

    Dimensions: S free places, numbered row by row; 4 actions: up, right, down, left.

    Args:
      plan: rows of equal length: S where episodes start, each such place as likely, G a goal, # a wall, . the rest.
      slip: in [0, 1].
    Returns:
      MDP of NumPy arrays.
    Raises:
      ValueError: rows of unequal length, another letter, no start; or slip is not in [0, 1].

    >>> world = grid_world(("SG",), slip=0.0)
    >>> world.transitions[0, 1].tolist(), world.rewards.tolist()
    ([0.0, 1.0], [[-1.0, -1.0, -1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    """
    letters = "".join(plan)
    if len({len(row) for row in plan}) != 1 or set(letters) - set("SG#.") or "S" not in letters:
        raise ValueError(f"plan must be rows of equal length of S, G, # and ., one S at least, got {tuple(plan)}")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip must be in [0, 1], got {slip}")
    places = [(i, j) for i, row in enumerate(plan) for j, letter in enumerate(row) if letter != "#"]
    index = {place: number for number, place in enumerate(places)}
    letter = np.array([plan[i][j] for i, j in places])
    transitions = np.zeros((len(places), len(MOVES), len(places)))
    for (i, j), here in index.items():
        for action in range(len(MOVES)):
            for turn, share in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                di, dj = MOVES[(action + turn) % len(MOVES)] if letter[here] != "G" else (0, 0)
                transitions[here, action, index.get((i + di, j + dj), here)] += share
    terminal = letter == "G"
    rewards = np.where(terminal[:, None], 0.0, -np.ones((1, len(MOVES))))
    return MDP(transitions, rewards, (letter == "S") / np.sum(letter == "S"), terminal)


GRID = tabular_environment("grid", grid_world(), HORIZON)
