"""--mesh: which devices, and what of an experiment they divide."""

from jax.sharding import Mesh

from experiments.runner.config import RunConfig, require
from experiments.runner.errors import UserError
from sandbox import sharding


def parse_mesh(text: str) -> dict[str, int]:
    """Axis sizes from "data=4,model=2".

    Raises:
      UserError: not of that form.

    >>> parse_mesh("data=4,model=2")
    {'data': 4, 'model': 2}
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        axes = {name.strip(): int(size) for name, size in pairs}
    except ValueError:
        raise UserError(f"--mesh must read like data=4 or data=4,model=2, got {text!r}") from None
    if len(axes) < len(pairs) or "" in axes:
        raise UserError(f"--mesh must name each axis once, got {text!r}")
    if min(axes.values()) < 1:
        raise UserError(f"--mesh: a mesh needs axes of size 1 or more, got {text!r}")
    return axes


def mesh_of(config: RunConfig) -> Mesh | None:
    """The mesh over the devices that there are.

    Raises:
      UserError: it does not fit them.
    """
    if config.mesh is None:
        return None
    try:
        return sharding.make_mesh(parse_mesh(config.mesh))
    except ValueError as error:
        raise UserError(f"--mesh: {error}") from error


def num_devices(config: RunConfig, axis: str = "data") -> int:
    """Devices along an axis of the mesh.

    >>> num_devices(RunConfig()), num_devices(RunConfig(mesh="data=2"))
    (1, 2)
    """
    return 1 if config.mesh is None else parse_mesh(config.mesh).get(axis, 1)


def seeds_divide(config: RunConfig) -> bool:
    """Whether a mesh has the seeds divided among its devices.

    >>> seeds_divide(RunConfig(mesh="data=2")), seeds_divide(RunConfig(mesh="data=2", seeds=4))
    (False, True)
    """
    return config.mesh is not None and config.seeds % num_devices(config) == 0


def require_axes(config: RunConfig, *others: str) -> None:
    """Refuse a mesh that has no axis `data`, or an axis that is neither that nor one of others.

    Raises:
      UserError: it is such a one.

    >>> require_axes(RunConfig(mesh="data=2,model=2"), "model")
    """
    if config.mesh is not None:
        axes = parse_mesh(config.mesh)
        require("data" in axes and set(axes) <= {"data", *others}, "--mesh",
                "of an axis called data" + "".join(f", and if wanted {axis}" for axis in others), config.mesh)


def require_divisible(config: RunConfig, flag: str, number: int, axis: str = "data") -> None:
    """Refuse a number that a flag names, and that the devices along an axis cannot share.

    Raises:
      UserError: it is no multiple of them.

    >>> require_divisible(RunConfig(mesh="data=2"), "--batch-size", 4)
    """
    devices = num_devices(config, axis)
    require(number % devices == 0, flag, f"a multiple of the {devices} devices along {axis}", number)


def require_seeds_or(config: RunConfig, flag: str, number: int) -> None:
    """Refuse a mesh that can share neither the seeds nor a number that a flag names.

    Raises:
      UserError: as for require_axes and require_divisible.

    >>> require_seeds_or(RunConfig(mesh="data=2"), "--batch-size", 4)
    """
    require_axes(config)
    if not seeds_divide(config):
        require_divisible(config, flag, number)
