"""The command line: python -m experiments NAME [flags]."""

import contextlib
import dataclasses
import errno
import importlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import tyro

import experiments
from experiments.data import DataError, DataUnavailable
from experiments.runner import directory
from experiments.runner.config import RunConfig, configure
from experiments.runner.errors import Interrupted, UserError
from experiments.runner.progress import console, say
from experiments.runner.result import Result, after_table, metrics_table, show
from experiments.runner.run import parse_mesh

USAGE = """usage: python -m experiments NAME [flags]     flags of one: python -m experiments NAME --help
       python -m experiments --all [flags]    every experiment, quick preset, embedded data
experiments: {names}"""

NEWEST = Path("the newest unfinished run")
NOT_FINITE, REFUSED, CANNOT_WRITE = 1, 2, 74
CANNOT_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG,
                       errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say; returns the exit status.

    0: done. 1: done, but a run turned non-finite. 2: refused, with the reason. 74: the run directory
    cannot be written. 128 + the signal's number: stopped, and saved.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        say(_usage())
        return 0 if arguments else REFUSED
    try:
        if arguments[0] == "--all":
            return _run_all(arguments[1:])
        result = run_one(arguments[0], arguments[1:])
        show(result, console)
        return NOT_FINITE if result.failures else 0
    except (UserError, DataError, DataUnavailable) as error:
        return _fail(str(error), REFUSED)
    except Interrupted as stop:
        return _fail(str(stop), 128 + stop.signal_number)
    except OSError as error:
        if error.errno not in CANNOT_WRITE_ERRORS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"cannot write the run: {error.strerror}{where}. What was saved before stays; make room or "
                     f"name another place by --out, and go on by --resume", CANNOT_WRITE)


def run_one(name: str, flags: Sequence[str]) -> Result:
    """Run one experiment as its flags say.

    Raises:
      UserError: unknown name or preset. SystemExit: a flag that tyro refuses (after it said why), or --help.
    """
    if name not in experiments.names():
        raise UserError(f"there is no experiment {name!r}\n{_usage()}")
    module = importlib.import_module(f"experiments.{name}")
    config = parse(name, module, flags)
    _prepare_jax(config)
    if config.resume is not None and (config.resume / "summary.json").exists():
        directory.refuse_changes(config.resume, directory.read_config(name, config.resume, module.Config), config)
        say(f"{config.resume} is finished")
        directory.point_latest(config.resume)
        return experiments.load(config.resume)
    return module.run(config)


def parse(name: str, module: ModuleType, flags: Sequence[str]) -> Any:
    """The experiment's config: its defaults, its preset's (or the resumed run's) over them, the flags over all.

    Raises:
      UserError: unknown preset; nothing to resume.
    """
    flags = _with_value(list(flags), "--resume", str(NEWEST))
    defaults = configure(module, _value(flags, "--preset") or "quick")
    if resume := _value(flags, "--resume"):
        where = directory.newest_unfinished(name) if Path(resume) == NEWEST else Path(resume)
        where = where.resolve() if where.is_symlink() else where  # latest itself moves
        old = directory.read_config(name, where, module.Config)
        defaults = dataclasses.replace(old, out=None, resume=where)
        flags = _without(flags, "--resume")
    return tyro.cli(module.Config, args=flags, default=defaults, prog=f"python -m experiments {name}",
                    description=module.__doc__)


def _value(flags: list[str], flag: str) -> str | None:
    """The value of a flag, given as "--flag value" or "--flag=value"."""
    for position, word in enumerate(flags):
        if word == flag and position + 1 < len(flags):
            return flags[position + 1]
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None


def _with_value(flags: list[str], flag: str, value: str) -> list[str]:
    """The same flags, the named one given a value where it has none."""
    if flag in flags:
        after = flags.index(flag) + 1
        if after == len(flags) or flags[after].startswith("--"):
            return [*flags[:after], value, *flags[after:]]
    return flags


def _without(flags: list[str], flag: str) -> list[str]:
    if flag in flags:
        position = flags.index(flag)
        return flags[:position] + flags[position + 2:]
    return [word for word in flags if not word.startswith(f"{flag}=")]


def _prepare_jax(config: RunConfig) -> None:
    """Settings that must be made before the first array is."""
    if config.debug_nans:
        jax.config.update("jax_debug_nans", True)
    if config.distributed:
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--distributed: no job to join ({error}). It needs a cluster that jax detects, or "
                            f"JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID") from error
        if jax.process_count() > 1:
            raise UserError(f"--distributed: the job has {jax.process_count()} processes, and a run is written by one")
    elif config.mesh is not None:  # a CPU counts as as many devices as asked for; accelerators stay as they are
        with contextlib.suppress(RuntimeError):  # too late, they are counted: the mesh is checked against them
            jax.config.update("jax_num_cpu_devices", max(math.prod(parse_mesh(config.mesh).values()), 1))


def _run_all(flags: Sequence[str]) -> int:
    results = []
    for name in experiments.names():
        results.append(run_one(name, flags))
        say("")
    console.print(metrics_table([result.summary for result in results]))
    for result in results:
        for line in after_table(result):
            say(line)
    return NOT_FINITE if any(result.failures for result in results) else 0


def _usage() -> str:
    return USAGE.format(names=", ".join(experiments.names()))


def _fail(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status
