"""What a score is learned of: the data, who learns, and how well it is done in the end."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.diffusing.diffuser import Diffuser
from experiments.runner.run import Run
from experiments.runner.summary import Reference


class Verdict(NamedTuple):
    """metrics: one value a seed, by name. reference: to some of them. drawn: figures by name. text: for the page."""

    metrics: Mapping[str, np.ndarray]
    reference: Mapping[str, Reference]
    drawn: Mapping[str, Figure]
    text: str


class Subject(NamedTuple):
    """diffuser: that has not learned yet. data: that a step draws from. draw_rows: (key, *data) -> rows and their
    conditions. judge: (run, diffusers of K seeds by objective) -> Verdict. fingerprint: of the data. runs: how seeds
    learn together, see `Stage`."""

    diffuser: Diffuser
    data: tuple[Any, ...]
    draw_rows: Callable[..., tuple[jax.Array, tuple]]
    judge: Callable[[Run, Mapping[str, Diffuser]], Verdict]
    fingerprint: str = ""
    runs: Literal["vmap", "map-on-cpu"] = "vmap"
