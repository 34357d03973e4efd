"""What is forged: the data, who is to make and judge them, and how well it is done in the end."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments.forging.forger import Forger
from experiments.runner.run import Run
from sandbox.gan import Pairs


class Verdict(NamedTuple):
    """metrics: one value a seed, by name. drawn: figures by name. text: for the closing page."""

    metrics: Mapping[str, np.ndarray]
    drawn: Mapping[str, Figure]
    text: str


class Subject(NamedTuple):
    """forger: players that have not learned yet. data: arrays that a step draws from. sample: (key, *data) -> a batch.
    judge: (run, forger of K seeds) -> Verdict. fingerprint: of the data. runs: how seeds learn together, see `Stage`.
    """

    forger: Forger
    data: tuple[Any, ...]
    sample: Callable[..., Pairs]
    judge: Callable[[Run, Forger], Verdict]
    fingerprint: str = ""
    runs: Literal["vmap", "map-on-cpu"] = "vmap"
