"""Experiments as real processes, the one under tests/experiments/extra among them."""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import jax

from experiments.runner import cli

ROOT = Path(__file__).parents[2]
MAIN = f"""
import sys
import experiments
experiments.__path__.append({str(Path(__file__).parent / "extra")!r})
from experiments.runner.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments, cwd, limit="", keep_compiled=False, root=ROOT):
    """A process that runs `python -m experiments` with these arguments in this directory.

    limit: a shell command before it, as in "ulimit -f 4". root: of the checkout.
    keep_compiled: whether later processes may load what this one compiles. Not if it may be killed, or be short of
      disk: jax would leave half a file, and warn in every process that reads it.
    """
    env = {**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu", "COLUMNS": "100",
           "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0" if keep_compiled else "inf"}
    python = [sys.executable, "-W", "error::UserWarning", "-c", MAIN, *map(str, arguments)]
    return subprocess.Popen(["sh", "-c", f'{limit or "true"}; exec "$@"', "sh", *python], cwd=cwd, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments, cwd, limit=""):
    """The same, waited for: (exit status, standard output, standard error)."""
    process = start(*arguments, cwd=cwd, limit=limit, keep_compiled=not limit)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def kill_and_resume(name, *flags, stage, cwd):
    """The run of an experiment in cwd/run, killed when a stage has saved for the first time, and gone on with."""
    process = start(name, *flags, "--out", "run", "--checkpoint-seconds", 0, cwd=cwd)
    while not list(cwd.glob(f"run/checkpoints/{stage}/0*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    code, _, err = run(name, "--resume", "run", "--checkpoint-seconds", 60, cwd=cwd)
    assert code == 0, err


def call(*arguments, cwd):
    """The same within this process, which has imported everything already: for what is refused before it runs.

    Not with --mesh, which says how many devices a process has.
    """
    jax.devices()  # counted now, so that a mesh here is refused instead of taking devices from later tests
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()
