"""Run directories: made whole, found again, held by one process at a time."""

import datetime
import fcntl
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import jax

from experiments.runner import files, processes
from experiments.runner.config import RunConfig, changed, from_json, to_json
from experiments.runner.errors import UserError

RUNS = Path("runs")


def create(name: str, config: RunConfig, data: str) -> Path:
    """Make the directory of a new run, with its config and manifest in it.

    Args:
      name: of the experiment. config: its flags. data: fingerprint of what it learns from.
    Raises:
      UserError: --out names a directory that has something in it.
    """
    directory = config.out or RUNS / name / _run_id(config)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"--out {directory} has something in it: name another directory, or go on with "
                        f"that run by --resume {directory}")
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    aside.mkdir()
    files.write_json(aside / "config.json", {"experiment": name, **to_json(config)})
    files.write_json(aside / "manifest.json", {**manifest(), "data": data})
    (aside / "figures").mkdir()
    files.rename_directory(aside, directory)
    return directory


def read_config(name: str, directory: Path, config_type: type[RunConfig]) -> RunConfig:
    """The config of a run.

    Raises:
      UserError: not a run directory, another experiment's, or another version's.
    """
    return from_json(config_type, _config_of(name, directory))


def experiment_of(directory: Path) -> str:
    """Name of the experiment whose run a directory is.

    Raises:
      UserError: it is none's.
    """
    return _config_of(None, directory)["experiment"]


def newest_unfinished(name: str) -> Path:
    """The last run of an experiment, under runs/, that is not finished.

    Raises:
      UserError: there is none.
    """
    runs = [path.parent for path in (RUNS / name).glob("[!.]*/config.json") if not path.parent.is_symlink()]
    unfinished = [run for run in runs if not is_finished(run)]
    if not unfinished:
        raise UserError(f"there is no unfinished run under {RUNS / name}: start one without --resume")
    return max(unfinished, key=lambda path: (path / "config.json").stat().st_mtime_ns)


def is_finished(directory: Path) -> bool:
    """Whether a run has its summary, or a sweep its table."""
    return any((directory / name).exists() for name in ("summary.json", "sweep.json"))


def refuse_changes(directory: Path, old: RunConfig, new: RunConfig) -> None:
    """Refuse to go on with another config than the run began with.

    Raises:
      UserError: it names the flags.
    """
    if differences := changed(old, new):
        raise UserError(f"{directory} was made with other flags: {'; '.join(differences)}. Go on without "
                        f"them, or start a new run")


def refuse_other_data(directory: Path, data: str) -> None:
    """Refuse to go on with, or to speak for, other data than the run began with.

    Raises:
      UserError: the fingerprints differ, or the manifest cannot be read.
    """
    try:
        began_with = json.loads((directory / "manifest.json").read_text())["data"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{directory}/manifest.json cannot be read: {error}") from error
    if data != began_with:
        raise UserError(f"the data of {directory} have changed since it began: bring the old ones back, or start "
                        f"a new run")


def point_latest(directory: Path) -> None:
    """Let runs/NAME/latest point at the newest finished run beside this one, if this one is under runs/NAME."""
    home = directory.resolve().parent
    if home.parent == RUNS.resolve():
        finished = [path.parent for path in home.glob("[!.]*/summary.json") if not path.parent.is_symlink()]
        newest = max(finished, key=lambda run: (run / "summary.json").stat().st_mtime_ns)
        files.replace_symlink(home / "latest", newest.name)


def hold(directory: Path) -> IO[str]:
    """Keep other processes from writing to this run for as long as this one lives.

    Raises:
      UserError: another process has it.
    """
    lock = open(directory / ".lock", "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"another process is at work on {directory}: wait for it, or stop it") from None
    return lock


def manifest() -> dict[str, Any]:
    """What the run is made with: command, versions, devices, commit, time."""
    packages = ("jax", "jaxlib", "optax", "flax", "chex", "orbax-checkpoint", "numpy")
    device = jax.devices()[0]
    return {
        "command": ["python", "-m", "experiments", *sys.argv[1:]],
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "versions": {package: metadata.version(package) for package in packages},
        "devices": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "processes": processes.count(),
        "commit": _commit(),
    }


def _config_of(name: str | None, directory: Path) -> dict[str, Any]:
    try:
        values = json.loads((directory / "config.json").read_text())
        experiment = values.pop("experiment") if name else values["experiment"]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{directory} is not a run directory: it has no readable config.json") from error
    if name and experiment != name:
        raise UserError(f"{directory} is a run of {experiment}, not of {name}")
    return values


def _run_id(config: RunConfig) -> str:
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    return f"{now}-{config.preset}-{Path(config.subject).stem.replace(':', '-')}-seed{config.seed}"


def _commit() -> str | None:
    """The checkout's commit, with "+changes" where it has uncommitted ones; None outside a checkout."""
    def git(*words):
        return subprocess.run(["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True,
                              timeout=10, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
