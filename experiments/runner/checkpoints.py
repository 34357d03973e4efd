"""A state on the disk and back, to the bit: written whole or not at all, and checked when it is read."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from experiments.runner import files, processes
from experiments.runner.errors import UserError
from experiments.runner.placing import everywhere

KEPT = 2


class CheckpointError(UserError):
    """A checkpoint is damaged, or is not of this run."""


def describe(tree: Any) -> list[str]:
    """Path, type and shape of every leaf, a line each; also for trees of ShapeDtypeStruct."""
    return [f"{path} {leaf.dtype} {list(leaf.shape)}" for path, leaf in _leaves(tree)]


def save(path: Path, tree: Any, record: dict[str, Any]) -> None:
    """Write a tree of arrays, and a JSON record beside it, as one directory that appears whole.

    Every process of a job writes its part of the arrays, the first of them the rest.

    Raises:
      OSError: no room, or no permission.
    """
    aside = path.with_name(f".{path.name}.tmp")

    def prepare():
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_full_disk(path.parent, tree)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()

    def seal():
        sealed = {**record, "leaves": describe(tree), "digest": _digest(aside / "state")}
        files.write_json(aside / "record.json", {**sealed, "seal": _seal(sealed)})
        files.rename_directory(aside, path)

    processes.first(prepare)
    try:
        ocp.save(aside.absolute() / "state", _nest(dict(_leaves(everywhere(tree)))))
        processes.first(seal)
    except Exception as error:
        if processes.writes():
            shutil.rmtree(aside, ignore_errors=True)
        if "No space left" in str(error) and not isinstance(error, OSError):
            raise OSError(28, "No space left on device", str(path)) from error
        raise


def load(path: Path, like: Any = None) -> tuple[Any, dict[str, Any]]:
    """The tree and the record that `save` wrote.

    Args:
      path: the checkpoint's directory.
      like: a tree of the same leaves, placed where they are to be, on however many devices; without it, nested
        dictionaries.
    Raises:
      CheckpointError: it cannot be read whole, its bytes are not those that were written, or its leaves
        are not those of `like`.
    """
    record = processes.first(lambda: _checked(path, like, {}))
    return _restored(path, like, record), record


def step_path(directory: Path, stage: str, step: int) -> Path:
    """Where a stage's checkpoint of a step is."""
    return directory / "checkpoints" / stage / f"{step:09d}"


def steps(directory: Path, stage: str) -> list[int]:
    """Steps of a stage that have a checkpoint, oldest first."""
    folder = directory / "checkpoints" / stage
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())


def prune(directory: Path, stage: str) -> None:
    """Delete all but the newest checkpoints of a stage."""
    for step in steps(directory, stage)[:-KEPT]:
        shutil.rmtree(step_path(directory, stage, step))


def load_newest(directory: Path, stage: str, like: Any, expected: dict[str, Any]) -> tuple[Any, dict] | None:
    """The newest checkpoint of a stage, or None if it has none.

    Args:
      directory: of the run. stage: its name. like: see `load`.
      expected: entries that the record must have (experiment, config).
    Raises:
      CheckpointError: damaged or of another run; the message names the last good one, if any, and how
        to go on from it.
    """
    found = processes.first(lambda: _newest(directory, stage, like, expected))
    if found is None:
        return None
    step, record = found
    return _restored(step_path(directory, stage, step), like, record), record


def _newest(directory: Path, stage: str, like: Any, expected: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """Step and record of a stage's newest checkpoint; see load_newest."""
    found = steps(directory, stage)
    if not found:
        return None
    newest = step_path(directory, stage, found[-1])
    try:
        return found[-1], _checked(newest, like, expected)
    except CheckpointError as error:
        for step in reversed(found[:-1]):
            good = step_path(directory, stage, step)
            try:
                _checked(good, like, expected)
            except CheckpointError:
                continue
            raise CheckpointError(f"{error}.\nThe last good one is {good}: delete or move away the damaged "
                                  f"one, and --resume goes on from there") from error
        raise CheckpointError(f"{error}.\nStage {stage} has no other good one: delete or move away "
                              f"{newest.parent}, and --resume begins that stage again") from error


def _checked(path: Path, like: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """The record of a checkpoint that is whole, and what is wanted: CheckpointError, if it is not."""
    try:
        record = json.loads((path / "record.json").read_text())
        seal = record.pop("seal")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged: its record cannot be read ({error})") from error
    if seal != _seal(record):
        raise CheckpointError(f"checkpoint {path} is damaged: its record is not what was written")
    if like is not None and (unlike := _difference(record["leaves"], describe(like))):
        raise CheckpointError(f"checkpoint {path} is of another experiment or config: {unlike}")
    if _digest(path / "state") != record["digest"]:
        raise CheckpointError(f"checkpoint {path} is damaged: its bytes are not those that were written")
    for name, value in expected.items():
        if record.get(name) != value:
            raise CheckpointError(f"checkpoint {path} is of another run: its {name} is {record.get(name)}, "
                                  f"not {value}")
    return record


def _restored(path: Path, like: Any, record: dict[str, Any]) -> Any:
    wanted = {name: _abstract(leaf) for name, leaf in _leaves(like)} if like is not None else _described(record)
    tree = ocp.load(path.absolute() / "state", _nest(wanted))
    if like is None:
        return tree
    found = dict(_leaves(tree))
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in _names(like)])


def _names(tree: Any) -> list[str]:
    """Path of every leaf, in the tree's order; a NamedTuple's field and a dictionary's key read the same."""
    def name(entry):
        return str(getattr(entry, "name", getattr(entry, "key", getattr(entry, "idx", entry))))

    return ["/".join(map(name, path)) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    return sorted(zip(_names(tree), jax.tree.leaves(tree), strict=True), key=lambda pair: pair[0])


def _nest(leaves: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries from leaves by path: what is on the disk knows no class of this program.

    >>> _nest({"a/b": 1, "a/c": 2})
    {'a': {'b': 1, 'c': 2}}
    """
    nested: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *folders, last = path.split("/")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = leaf
    return nested


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _described(record: dict[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    lines = [line.split(" ", 2) for line in record["leaves"]]
    key_type = jax.eval_shape(lambda: jax.random.key(0)).dtype
    return {name: jax.ShapeDtypeStruct(tuple(json.loads(shape)), key_type if dtype == str(key_type) else dtype,
                                       sharding=here) for name, dtype, shape in lines}


def _digest(folder: Path) -> str:
    """SHA-256 over the name and content of every file in a folder."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(str(file.relative_to(folder)).encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(files.without_nonfinite(record), sort_keys=True).encode()).hexdigest()


def _difference(stored: list[str], wanted: list[str]) -> str:
    if stored == wanted:
        return ""
    for one, other in zip(stored, wanted, strict=False):
        if one != other:
            return f"it has leaf {one}, where this run has {other}"
    return f"it has {len(stored)} leaves, this run has {len(wanted)}"


def _refuse_full_disk(folder: Path, tree: Any) -> None:
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) + 2**16
    if shutil.disk_usage(folder).free < needed:
        raise OSError(28, "No space left on device", str(folder))
