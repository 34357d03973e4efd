"""Points that differ in numbers alone, trained as one stage: each run's numbers ride in its state.

The experiment's own `stages` is called with a config whose numbers are traced. What of it needs to know a number while
it is built (how many steps there are, say) fails when it is traced: then that key is no mere number.
"""

import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from experiments.runner.config import unchecked
from experiments.runner.loop import same
from experiments.runner.stage import Stage, chunk
from experiments.sweeping.grid import Point

LARGEST = float(np.finfo(np.float32).max)


class Riding(NamedTuple):
    """The state of a run that carries numbers; its leaves go by the names that they have without them."""

    numbers: tuple
    state: Any


class Unsaid(NamedTuple):
    """A step of a leaf's path that nobody sees: only checkpoints name it."""

    name: str

    def __str__(self) -> str:
        return ""


jax.tree_util.register_pytree_with_keys(
    Riding, lambda run: (tuple(zip(map(Unsaid, run._fields), run)), None), lambda _, parts: Riding(*parts))


class Untold:
    """In the place of a number while the data are read: whoever wants to know it gets a TypeError."""

    def _refuse(self, *_: Any) -> Any:
        raise TypeError("the number is not told here")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __float__ = __int__ = __index__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __neg__ = __abs__ = __hash__ = __array__ = __format__ = __str__ = __repr__ = _refuse


def groups_of(module: ModuleType, points: Sequence[Point], mesh: Mesh | None) -> list[tuple[list[Point], list[Stage]]]:
    """Points that can be trained together, and the stages that train them; a point alone has none.

    What is wrong with the data or the experiment itself is said when a point runs by itself.
    """
    keys = mere_numbers(module, points, mesh)
    groups = []
    for group in split(points, keys):
        stages = trained_together(module, group, keys, mesh) if len(group) > 1 else None
        groups += [(group, stages)] if stages else [([point], []) for point in group]
    return groups


def mere_numbers(module: ModuleType, points: Sequence[Point], mesh: Mesh | None = None) -> list[str]:
    """Keys of which nothing but the steps of training, and what they begin with, needs to know the value."""
    found: list[str] = []
    candidates = [key for key in points[0].values
                  if len({point.values[key] for point in points if _rides(point.values[key])}) > 1]
    for keys in (candidates, *([key] for key in candidates)):
        if len(found) < len(candidates) and keys and not set(keys) <= set(found):
            together = max(split(points, [*found, *keys]), key=len)  # in which all of them ride
            if trained_together(module, together, [*found, *keys], mesh):
                found += keys
    return found


def split(points: Sequence[Point], keys: Sequence[str]) -> list[list[Point]]:
    """Points in groups that are alike but for the numbers of these keys."""
    groups: dict[tuple, list[Point]] = {}
    for point in points:
        fixed = tuple("rides" if key in keys and _rides(value) else (value,) for key, value in point.values.items())
        groups.setdefault(fixed, []).append(point)
    return list(groups.values())


def trained_together(module: ModuleType, points: Sequence[Point], keys: Sequence[str], mesh: Mesh | None
                     ) -> list[Stage] | None:
    """A stage for all runs of all points, for each of the experiment's stages that stands by itself: the first point's
    runs, then the second one's. None: a key is no mere number.
    """
    keys = [key for key in keys if _rides(points[0].values[key])]  # and so with the others: see `split`
    try:
        task = module.read(unchecked(points[0].config, **{key: Untold() for key in keys}))
        of_points = [module.stages(point.config, task, mesh) for point in points]
        if not all(_alike(stages, of_points[0]) for stages in of_points):
            return None
        numbers = tuple(np.array([point.values[key] for point in points], np.float32) for key in keys)

        def stages_at(values: Sequence[jax.Array]) -> Sequence[Stage]:
            return module.stages(unchecked(points[0].config, **dict(zip(keys, values))), task, mesh)

        stages = [_joined(stage, position, points, numbers, stages_at)
                  for position, stage in enumerate(of_points[0]) if not stage.follows]
        for stage in stages:
            state = jax.eval_shape(stage.initial, *stage.given)
            jax.eval_shape(chunk(stage, 1, platform=jax.default_backend(), mesh=mesh), state, *stage.data)
    except Exception:  # of whatever kind: what is wrong with the experiment itself is said when it runs by itself
        return None
    return stages


def _joined(stage: Stage, position: int, points: Sequence[Point], numbers: tuple[np.ndarray, ...],
            stages_at: Any) -> Stage:
    """One stage of the experiment, for all points."""
    num_points, num_runs = len(points), len(stage.labels)

    def initial(numbers, *given):
        states = jax.vmap(lambda own: stages_at(own)[position].initial(*given))(numbers)
        flat = jax.tree.map(lambda leaf: leaf.reshape((num_points * num_runs, *leaf.shape[2:])), states)
        return Riding(tuple(jnp.repeat(number, num_runs) for number in numbers), flat)

    def step(state, *data):
        after, values = stages_at(state.numbers)[position].step(state.state, *data)
        return state._replace(state=after), values

    data = stage.data if stage.data_axis is None else jax.tree.map(
        lambda leaf: jnp.concatenate([leaf] * num_points), stage.data)
    labels = [f"{point.label}, {label}" for point, label in itertools.product(points, stage.labels)]
    return stage._replace(initial=initial, given=(numbers, *stage.given), step=step, data=data, labels=labels)


def of_point(tree: Any, position: int, num_runs: int) -> Any:
    """A point's part of what all have on a leading axis."""
    return jax.tree.map(lambda leaf: leaf[position * num_runs:(position + 1) * num_runs], tree)


def _alike(some: Sequence[Stage], others: Sequence[Stage]) -> bool:
    """Whether stages differ in their functions alone."""
    def fixed(stage: Stage) -> tuple:
        return (stage.name, stage.num_steps, stage.chunk_steps, list(stage.labels), stage.runs, stage.data_axis,
                stage.follows)

    return [fixed(one) for one in some] == [fixed(other) for other in others] and all(
        same((one.given, one.data), (other.given, other.data)) for one, other in zip(some, others))


def _rides(value: Any) -> bool:
    """Whether a run could carry it, in float32: inf and nan would count as its failure."""
    return isinstance(value, float) and abs(value) <= LARGEST
