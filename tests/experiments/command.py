"""Experiments as real processes, the one under tests/experiments/extra among them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN = f"""
import sys
import experiments
experiments.__path__.append({str(Path(__file__).parent / "extra")!r})
from experiments.runner.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments, cwd, limit=""):
    """A process that runs `python -m experiments` with these arguments in this directory.

    limit: a shell command before it, as in "ulimit -f 4".
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "COLUMNS": "100"}
    python = [sys.executable, "-W", "error::UserWarning", "-c", MAIN, *map(str, arguments)]
    return subprocess.Popen(["sh", "-c", f'{limit or "true"}; exec "$@"', "sh", *python], cwd=cwd, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments, cwd, limit=""):
    """The same, waited for: (exit status, standard output, standard error)."""
    process = start(*arguments, cwd=cwd, limit=limit)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err
