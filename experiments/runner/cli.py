"""The command line: python -m experiments NAME [flags]."""

import contextlib
import dataclasses
import errno
import importlib
import math
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import tyro

import experiments
from experiments.data import DataError, DataUnavailable
from experiments.runner import directory, processes
from experiments.runner.config import RunConfig, code_digest, configure, require, shared_flags
from experiments.runner.errors import Interrupted, StoppedElsewhere, UserError
from experiments.runner.meshes import parse_mesh
from experiments.runner.progress import console, say
from experiments.runner.result import Result, after_table, metrics_table, show
from experiments.sweeping import run as sweeping
from experiments.sweeping import table

USAGE = """usage: python -m experiments NAME [flags]     flags of one: python -m experiments NAME --help
       python -m experiments --all [flags]    every experiment, quick preset, embedded data
experiments: {names}"""

NEWEST = Path("the newest unfinished run")
NOT_FINITE, REFUSED, CANNOT_WRITE, LOST = 1, 2, 74, 75
CANNOT_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG,
                       errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say; returns the exit status.

    0: done. 1: done, but a run turned non-finite. 2: refused, with the reason. 74: the run directory
    cannot be written. 75: another process of the job was lost. 128 + the signal's number: stopped, and saved.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        say(_usage())
        return 0 if arguments else REFUSED
    try:
        status = _run(arguments)
    except BaseException as error:
        if processes.count() == 1:
            raise
        if processes.is_loss(error):
            print(f"error: {str(error).strip().splitlines()[0]}", file=sys.stderr)
            processes.end(LOST)
        traceback.print_exception(error)
        processes.end(128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1)  # the others notice
    processes.leave()
    return status


def _run(arguments: Sequence[str]) -> int:
    try:
        if arguments[0] == "--all":
            return _run_all(arguments[1:])
        result = run_one(arguments[0], arguments[1:])
        if not isinstance(result, Result):  # of a sweep, where divergence is a result
            table.show(result, console)
            return 0
        show(result, console)
        return NOT_FINITE if result.failures else 0
    except (UserError, DataError, DataUnavailable) as error:
        return processes.refuse(str(error), REFUSED)
    except StoppedElsewhere as stop:
        print(stop, file=sys.stderr)
        return stop.status
    except Interrupted as stop:
        return processes.refuse(str(stop), 128 + stop.signal_number)
    except OSError as error:
        if error.errno not in CANNOT_WRITE_ERRORS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        return processes.refuse(f"cannot write the run: {error.strerror}{where}. What was saved before stays; make "
                                f"room or name another place by --out, and go on by --resume", CANNOT_WRITE)


def run_one(name: str, flags: Sequence[str]) -> Result | table.Sweep:
    """Run one experiment as its flags say, or a sweep of them.

    Raises:
      UserError: unknown name or preset. SystemExit: a flag that tyro refuses (after it said why), or --help.
    """
    if name not in experiments.names():
        raise UserError(f"there is no experiment {name!r}\n{_usage()}")
    module = importlib.import_module(f"experiments.{name}")
    config = parse(name, module, flags)
    config = _prepare_jax(name, config)
    if config.sweep:
        return sweeping.run(module, config)
    if config.resume is not None and processes.first((config.resume / "summary.json").exists):
        directory.refuse_changes(config.resume, directory.read_config(name, config.resume, module.Config), config)
        say(f"{config.resume} is finished")
        processes.first(partial(directory.point_latest, config.resume))
        return experiments.load(config.resume)
    return module.run(config)


def parse(name: str, module: ModuleType, flags: Sequence[str]) -> Any:
    """The experiment's config: its defaults, its preset's (or the resumed run's) over them, the flags over all.

    Raises:
      UserError: unknown preset; nothing to resume; --sweep without a value, or twice.
    """
    flags = _with_value(list(flags), "--resume", str(NEWEST))
    times = sum(word.partition("=")[0] == "--sweep" for word in flags)
    if times > 1 or _lacks_value(flags, "--sweep"):
        raise UserError(f"--sweep must be given once, with all of its keys after it, as in --sweep "
                        f"learning_rate=1e-4,1e-3 l2=0.01,0.1; got {f'it {times} times' if times > 1 else 'none'}")
    defaults = configure(module, _value(flags, "--preset") or "quick")
    if resume := _value(flags, "--resume"):
        where = directory.newest_unfinished(name) if Path(resume) == NEWEST else Path(resume)
        where = where.resolve() if where.is_symlink() else where  # latest itself moves
        old = directory.read_config(name, where, module.Config)
        defaults = dataclasses.replace(old, out=None, resume=where, distributed=False, coordinator=None,
                                       num_processes=None, process_id=None)
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
    if _lacks_value(flags, flag):
        after = flags.index(flag) + 1
        return [*flags[:after], value, *flags[after:]]
    return flags


def _lacks_value(flags: list[str], flag: str) -> bool:
    return flag in flags and all(word.startswith("--") for word in flags[flags.index(flag) + 1:][:1])


def _without(flags: list[str], flag: str) -> list[str]:
    if flag in flags:
        position = flags.index(flag)
        return flags[:position] + flags[position + 2:]
    return [word for word in flags if not word.startswith(f"{flag}=")]


def _prepare_jax(name: str, config: RunConfig) -> RunConfig:
    """Settings that must be made before the first array is; returns the config with its mesh, if it must have one."""
    if config.debug_nans:
        jax.config.update("jax_debug_nans", True)
    if config.distributed:
        processes.join(config)
        console.quiet = not processes.writes()
        processes.require_same({"experiment": name, "code of fingerprint": code_digest(), "jax": jax.__version__,
                                **shared_flags(config)})
    if config.mesh is not None:  # a CPU counts as as many devices as asked for; accelerators stay as they are
        devices, many = max(math.prod(parse_mesh(config.mesh).values()), 1), processes.count()
        require(devices % many == 0, "--mesh", f"of as many devices for each of {many} processes", config.mesh)
        with contextlib.suppress(RuntimeError):  # too late, they are counted: the mesh is checked against them
            jax.config.update("jax_num_cpu_devices", devices // many)
    elif processes.count() > 1:
        say(f"Without --mesh, all devices share the work: data={jax.device_count()}.")
        return dataclasses.replace(config, mesh=f"data={jax.device_count()}")
    return config


def _run_all(flags: Sequence[str]) -> int:
    if any(flag.partition("=")[0] == "--sweep" for flag in flags):
        raise UserError("--sweep goes with one experiment: python -m experiments NAME --sweep ...")
    results = []
    for name in experiments.names():
        result = run_one(name, flags)
        assert isinstance(result, Result)
        results.append(result)
        say("")
    console.print(metrics_table([result.summary for result in results]))
    for result in results:
        for line in after_table(result):
            say(line)
    return NOT_FINITE if any(result.failures for result in results) else 0


def _usage() -> str:
    return USAGE.format(names=", ".join(experiments.names()))
