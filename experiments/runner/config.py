"""The flags that every experiment understands; each experiment's own config adds to them."""

import dataclasses
import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from experiments.runner.devices import PRECISIONS
from experiments.runner.errors import UserError

TRACKERS = ("tensorboard",)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Common flags."""

    preset: str = "quick"
    """Defaults for all other flags. quick: embedded data, half a minute; full: the README's numbers."""
    dataset: str = "embedded"
    """What to learn from; `embedded` needs no download."""
    data_dir: Path | None = None
    """Where real data are looked for, and put. Without it: $SANDBOX_DATA, then the user's cache."""
    seed: int = 0
    """The first seed."""
    seeds: int = 1
    """How many independent runs; each result is given for all of them, with mean and 95% interval."""
    out: Path | None = None
    """The run's directory, empty or not there yet. Without it: a new one under runs/."""
    resume: Path | None = None
    """Go on from this run's last checkpoint; without a value, from the newest unfinished run's."""
    mesh: str | None = None
    """Axes of a mesh over the devices, as in data=4,model=2; batches are divided over `data`."""
    distributed: bool = False
    """Be one process of several that share the work, and a file system; without --mesh, data=all their devices. Start
    each with the same flags: Slurm, Kubernetes, GKE or Cloud TPU tell jax which one it is, or the next three do."""
    coordinator: str | None = None
    """HOST:PORT at which process 0 listens, and where the others reach it."""
    num_processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which of them this one is, from 0."""
    join_seconds: float = 60.0
    """How long to wait until all have joined; after that it is an error."""
    precision: str = "default"
    """Of products of float32 matrices on an accelerator, TensorFloat32 or bfloat16 as a rule: default, high or
    highest, which is float32."""
    compilation_cache: Path | None = None
    """Keep compiled programs there for the next run, apart by versions and host."""
    profile: bool = False
    """Write a jax.profiler trace into the run directory."""
    debug_nans: bool = False
    """Stop with a traceback at the operation that first makes a NaN (jax_debug_nans; slow)."""
    checkpoint_seconds: float = 10.0
    """Least time between two checkpoints; one is always written at the end of each stage."""
    track: str | None = None
    """Tell a tracker, too, what is measured: tensorboard, into the run directory."""
    sweep: tuple[str, ...] = ()
    """Run every combination of some flags' values, as in learning_rate=1e-4,1e-3 l2=0.01,0.1; those of a flag that
    takes several words are joined by +. Where only numbers change all learn together."""
    sweep_metric: str | None = None
    """What the table of a sweep begins with, and its heat map shows. Without it: the experiment's first metric. A
    finished sweep shows another one by --resume DIR --sweep-metric NAME."""

    mesh_decides: ClassVar[bool] = False
    """Whether a run goes on with the mesh that it began with, and no other."""

    @property
    def subject(self) -> str:
        """What is learned from, as titles say it."""
        return self.dataset

    def __post_init__(self):
        require(self.seeds >= 1, "--seeds", "at least 1", self.seeds)
        require(0 <= self.seed < 2**32, "--seed", "0 to 2³² − 1", self.seed)
        require(self.checkpoint_seconds >= 0, "--checkpoint-seconds", "0 or more", self.checkpoint_seconds)
        require(self.precision in PRECISIONS, "--precision", f"one of {', '.join(PRECISIONS)}", self.precision)
        require(self.track in (None, *TRACKERS), "--track", " or ".join(TRACKERS), self.track)
        require(0 < self.join_seconds < 1e6, "--join-seconds", "positive, and finite", self.join_seconds)
        require(self.sweep_metric is None or bool(self.sweep), "--sweep-metric", "left out where there is no --sweep",
                self.sweep_metric)
        if (self.coordinator, self.num_processes, self.process_id) != (None, None, None):
            require_place_in_job(self)


ONES_OWN = {"data_dir", "out", "coordinator", "process_id", "compilation_cache"}
"""Flags that may differ from one process of a job to the next."""

HOW_IT_RUNS = ONES_OWN | {"resume", "mesh", "distributed", "num_processes", "join_seconds", "profile", "debug_nans",
                          "checkpoint_seconds", "track", "sweep_metric"}
"""Flags that decide nothing about the result, but for rounding: a resumed run may change them."""


def require(condition: bool, flag: str, what: str, value: Any) -> None:
    """Refuse a flag's value: UserError, unless the condition holds.

    >>> require(False, "--rank", "at least 1", 0)
    Traceback (most recent call last):
    experiments.runner.errors.UserError: --rank must be at least 1, got 0
    """
    if not condition:
        raise UserError(f"{flag} must be {what}, got {value}")


def require_place_in_job(config: RunConfig) -> None:
    """Refuse flags that do not say all of where a job is, and which of its processes this is.

    Raises:
      UserError: one is missing, or out of bounds.

    >>> require_place_in_job(RunConfig(distributed=True, coordinator="host:1234", num_processes=2, process_id=1))
    """
    address, count, index = config.coordinator, config.num_processes, config.process_id
    flags = "--coordinator, --num-processes and --process-id"
    if not config.distributed or address is None or count is None or index is None:
        raise UserError(f"{flags} must be given all three, with --distributed")
    host, _, port = address.rpartition(":")
    require(bool(host) and port.isdigit() and 0 < int(port) < 2**16, "--coordinator", "HOST:PORT", address)
    require(count >= 1, "--num-processes", "at least 1", count)
    require(0 <= index < count, "--process-id", f"0 to {count - 1}", index)


def configure(module: ModuleType, preset: str = "quick", **flags: Any) -> Any:
    """An experiment's config with the values of a preset, and flags over them.

    Raises:
      UserError: unknown preset, or a value out of bounds.
    """
    if preset not in module.PRESETS:
        raise UserError(f"--preset must be one of {', '.join(module.PRESETS)}, got {preset!r}")
    return module.Config(preset=preset, **{**module.PRESETS[preset], **flags})


def unchecked(config: Any, **values: Any) -> Any:
    """The same config with other values, which nobody checks: they need not even be numbers."""
    kind = type(config)
    return type(kind.__name__, (kind,), {"__post_init__": lambda self: None, "__module__": kind.__module__})(
        **{field.name: getattr(config, field.name) for field in dataclasses.fields(config)} | values)


def to_json(config: RunConfig) -> dict[str, Any]:
    """Every flag by name, in the types of JSON."""
    plain = dataclasses.asdict(config)
    return json.loads(json.dumps(plain, default=str))


def from_json(config_type: type[RunConfig], values: dict[str, Any]) -> RunConfig:
    """The config that `to_json` wrote.

    Raises:
      UserError: it has flags that this version does not know, or lacks some: it is another version's.
    """
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    if set(values) != set(fields):
        unlike = "; ".join(f"{words} {', '.join(sorted(names))}" for words, names in (
            ("it lacks", set(fields) - set(values)), ("unknown today are", set(values) - set(fields))) if names)
        raise UserError(f"this run was made by another version of the experiment: {unlike}. Its summary.json and "
                        f"figures are still good; to load it, check out the commit that its manifest.json names")
    return config_type(**{
        name: Path(value) if fields[name].type in (Path, Path | None) and value is not None
        else tuple(value) if isinstance(value, list) else value
        for name, value in values.items()})


def changed(old: RunConfig, new: RunConfig) -> list[str]:
    """What differs in the flags that decide the result, as "--flag old, now new"."""
    before, now = to_json(old), to_json(new)
    return [f"--{name.replace('_', '-')} was {before[name]}, now {now[name]}"
            for name in before if decides(new, name) and before[name] != now[name]]


def decides(config: RunConfig, name: str) -> bool:
    """Whether a flag has a say in the result.

    >>> decides(RunConfig(), "seed"), decides(RunConfig(), "mesh")
    (True, False)
    """
    return name not in HOW_IT_RUNS or (name == "mesh" and config.mesh_decides)


def digest(config: RunConfig) -> str:
    """A fingerprint of the flags that decide the result."""
    deciding = {name: value for name, value in to_json(config).items() if decides(config, name)}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def shared_flags(config: RunConfig) -> dict[str, Any]:
    """The flags that all processes of a job must have alike, as "--flag"."""
    return {f"--{name.replace('_', '-')}": value for name, value in to_json(config).items() if name not in ONES_OWN}


def code_digest() -> str:
    """A fingerprint of the source files of this program."""
    total = hashlib.sha256()
    root = Path(__file__).parents[2]
    for file in sorted(file for package in ("experiments", "sandbox") for file in (root / package).rglob("*.py")):
        total.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return total.hexdigest()[:12]
