"""Named meshes of devices, and the rules that place parameters and batches on them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

__all__ = [
    "constrain_batch", "longest_axes", "make_mesh", "num_parts", "place", "place_batch", "replicate",
    "sharding_by_rules", "where_it_fits",
]

Chooser = Callable[[Mesh, tuple[int, ...]], PartitionSpec]
Rules = Sequence[tuple[str, PartitionSpec | Chooser]]


def make_mesh(axes: Mapping[str, int], devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh with named axes over the devices.

    Args:
      axes: size of each axis by name, slowest first: {"data": 4, "model": 2}.
      devices: default: all of them.
    Returns:
      Mesh whose axes the compiler shards by itself (AxisType.Auto).
    Raises:
      ValueError: no axis, a size below 1, or sizes whose product is not the number of devices.

    >>> dict(make_mesh({"data": 1}, jax.devices()[:1]).shape)
    {'data': 1}
    """
    devices = jax.devices() if devices is None else list(devices)
    if not axes or any(size < 1 for size in axes.values()):
        raise ValueError(f"a mesh needs axes of size 1 or more, got {dict(axes)}")
    if math.prod(axes.values()) != len(devices):
        sizes = " x ".join(f"{name}={size}" for name, size in axes.items())
        raise ValueError(f"a mesh of {sizes} needs {math.prod(axes.values())} devices, there are {len(devices)}")
    return jax.make_mesh(tuple(axes.values()), tuple(axes), axis_types=(AxisType.Auto,) * len(axes),
                         devices=devices)


def num_parts(mesh: Mesh | None, axis: str = "data") -> int:
    """Devices along an axis; 1 where there is no mesh, or it has no such axis.

    >>> num_parts(None), num_parts(make_mesh({"data": 1}, jax.devices()[:1]))
    (1, 1)
    """
    return 1 if mesh is None else mesh.shape.get(axis, 1)


def replicate(mesh: Mesh, tree: Any) -> Any:
    """A copy of every leaf on every device.

    >>> replicate(make_mesh({"data": 1}, jax.devices()[:1]), jnp.ones(2)).sharding.spec == PartitionSpec()
    True
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def place_batch(mesh: Mesh, batch: Any, *, axis: str = "data") -> Any:
    """Each leaf divided by its leading axis over one axis of the mesh.

    Args:
      mesh: see make_mesh. batch: pytree of arrays (N, ...). axis: name in the mesh.
    Returns:
      The same values, placed.
    Raises:
      ValueError: no such axis, a scalar leaf, or a leading axis that does not divide.

    >>> place_batch(make_mesh({"data": 1}, jax.devices()[:1]), jnp.ones((4, 2))).sharding.spec == PartitionSpec("data")
    True
    """
    return jax.device_put(batch, _batch_sharding(mesh, batch, axis))


def constrain_batch(mesh: Mesh, sample: Callable[..., Any], *, axis: str = "data") -> Callable[..., Any]:
    """The same sampler, its batch divided over the mesh: to wrap what `training.step_of` is given.

    Args:
      mesh, axis: as for place_batch. sample: (key, *data) -> batch.
    Returns:
      A sampler of the same values.
    Raises:
      ValueError: when it is traced, as for place_batch.

    >>> mesh = make_mesh({"data": 1}, jax.devices()[:1])
    >>> jax.jit(constrain_batch(mesh, lambda key: jnp.ones(4)))(jax.random.key(0))
    Array([1., 1., 1., 1.], dtype=float32)
    """
    def constrained(key, *data):
        batch = sample(key, *data)
        return jax.lax.with_sharding_constraint(batch, _batch_sharding(mesh, batch, axis))

    return constrained


def sharding_by_rules(mesh: Mesh, tree: Any, rules: Rules) -> Any:
    """Where each leaf goes: the first rule whose pattern is found in the leaf's path decides.

    Args:
      mesh: see make_mesh.
      tree: pytree of arrays (or of ShapeDtypeStructs).
      rules: (regular expression, PartitionSpec) pairs, tried in order against paths as
        jax.tree_util.keystr writes them (".params.user_factors"); no rule: a copy on every device. In the place of
        a PartitionSpec may stand a function of mesh and shape that chooses one; see longest_axes.
    Returns:
      Pytree of NamedSharding.
    Raises:
      ValueError: a rule names an axis that the mesh lacks, or divides an axis that it does not fit.

    >>> mesh = make_mesh({"data": 1}, jax.devices()[:1])
    >>> rules = [("factors", PartitionSpec("data"))]
    >>> sharding_by_rules(mesh, {"factors": jnp.ones(2), "bias": jnp.ones(2)}, rules)["bias"].spec == PartitionSpec()
    True
    """
    def decide(path, leaf):
        name = jax.tree_util.keystr(path)
        spec = next((spec for pattern, spec in rules if re.search(pattern, name)), PartitionSpec())
        spec = spec if isinstance(spec, PartitionSpec) else spec(mesh, leaf.shape)
        _check_fits(mesh, name, leaf.shape, spec)
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(decide, tree)


def longest_axes(*names: str, skip: int = 0, least: int = 2**12) -> Chooser:
    """A rule that fits any array: fully sharded, whatever it is.

    Each mesh axis in its turn divides the longest axis of the array that it fits and that none before it has taken;
    the last of two that are equally long. What is small is copied.

    Args:
      names: of mesh axes. skip: so many leading axes of the array stay whole. least: numbers in an array that is
        worth dividing.
    Returns:
      (mesh, shape) -> PartitionSpec, for sharding_by_rules.

    >>> mesh = make_mesh({"data": 1}, jax.devices()[:1])
    >>> longest_axes("data")(mesh, (64, 128)) == PartitionSpec(None, "data")
    True
    """
    def choose(mesh: Mesh, shape: tuple[int, ...]) -> PartitionSpec:
        taken: list[str | None] = [None] * len(shape)
        if math.prod(shape[skip:]) >= least:
            for name in names:
                fitting = [axis for axis in range(skip, len(shape))
                           if taken[axis] is None and shape[axis] % mesh.shape[name] == 0]
                if fitting:
                    taken[max(fitting, key=lambda axis: (shape[axis], axis))] = name
        while taken and taken[-1] is None:
            taken.pop()
        return PartitionSpec(*taken)

    return choose


def where_it_fits(*spec: str | None) -> Chooser:
    """A rule like PartitionSpec(*spec), less the axes that a mesh lacks or that do not divide.

    >>> mesh = make_mesh({"data": 1}, jax.devices()[:1])
    >>> where_it_fits("data", "model")(mesh, (4, 4)) == PartitionSpec("data", None)
    True
    """
    def choose(mesh: Mesh, shape: tuple[int, ...]) -> PartitionSpec:
        return PartitionSpec(*(name if name in mesh.shape and size % mesh.shape[name] == 0 else None
                               for size, name in zip(shape, spec, strict=False)))

    return choose


def place(mesh: Mesh, tree: Any, rules: Rules) -> Any:
    """Parameters (or a whole state) placed by rules; see sharding_by_rules.

    >>> place(make_mesh({"data": 1}, jax.devices()[:1]), jnp.ones(2), []).sharding.spec == PartitionSpec()
    True
    """
    return jax.device_put(tree, sharding_by_rules(mesh, tree, rules))


def _batch_sharding(mesh: Mesh, batch: Any, axis: str) -> Any:
    return sharding_by_rules(mesh, batch, [("", PartitionSpec(axis))])


def _check_fits(mesh: Mesh, name: str, shape: tuple[int, ...], spec: PartitionSpec) -> None:
    if len(spec) > len(shape):
        raise ValueError(f"leaf {name!r} of shape {shape} has no axis to divide by {spec}")
    for size, entry in zip(shape, spec, strict=False):
        names = entry if isinstance(entry, tuple) else (entry,) if entry else ()
        unknown = [axis for axis in names if axis not in mesh.shape]
        if unknown:
            raise ValueError(f"the mesh has axes {tuple(mesh.shape)}, not {unknown[0]!r}")
        parts = math.prod(mesh.shape[axis] for axis in names)
        if size % parts:
            raise ValueError(f"leaf {name!r} of shape {shape} does not divide into {parts} parts by {spec}")
