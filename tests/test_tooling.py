"""The Makefile, .ci/ and the imports of sandbox keep their promises. Nothing here sets up an environment."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess:
    ours = ("MAKE", "MFLAGS", "EXP", "ARGS", "TOPOLOGY", "PYTHON", "EXTRAS")  # what a surrounding make was called with
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(command, cwd=cwd, env=inherited | env, capture_output=True, text=True, timeout=60)


def test_help_documents_every_target():
    targets = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split()
    page = run("make", "help").stdout
    listed = re.findall(r"^  make (\S+)", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted([t for t in targets if t[0] != "."] + ["run-experiment-NAME"])
    assert "\033" not in page, "no colours where no terminal reads them"


@pytest.mark.parametrize(("arguments", "command"), [
    (["run-experiment"], "-m experiments --all"),
    (["run-experiment", "EXP=kalman", "ARGS=--seed 3"], "-m experiments kalman --seed 3"),
    (["run-experiment-kalman", "ARGS=--seed 3"], "-m experiments kalman --seed 3"),
])
def test_run_experiment_is_the_command_line_of_experiments(arguments, command):
    assert run("make", "--dry-run", *arguments).stdout.strip().endswith(command)


def test_an_unknown_experiment_is_answered_with_the_known_ones():
    result = run(sys.executable, "-m", "experiments", "no_such_experiment", JAX_PLATFORMS="cpu")
    assert result.returncode != 0
    assert "matrix_factorization" in result.stdout + result.stderr


@pytest.fixture
def set_up(tmp_path):
    """.ci/venv in a folder of its own, over a stand-in for Python that writes down what is asked of it."""
    (tmp_path / ".ci").mkdir()
    for name in (".ci/venv", ".ci/versions-3.11.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)

    def call(*more: str, python: str = STAND_IN, **env: str) -> tuple[subprocess.CompletedProcess, str]:
        (tmp_path / "python").write_text(f"#!/bin/sh\n{python}\n")
        (tmp_path / "python").chmod(0o755)
        (tmp_path / "asked").write_text("")
        result = run("sh", ".ci/venv", "env", "dev", *more, cwd=tmp_path, **env)
        return result, (tmp_path / "asked").read_text()

    return call


STAND_IN = """echo "$@" >> asked
case "$*" in
  *version_info*) echo 3.11 ;;
  *"venv --clear"*) rm -rf env && mkdir -p env/bin && cp python env/bin/ ;;
esac"""


@pytest.mark.parametrize(("python", "complaint"), [
    ("echo 3.10", "Python 3.11 or newer is needed and './python' is 3.10"),
    ("exit 127", "No Python answers to './python'"),
    ('case "$2" in *ensurepip*) exit 1 ;; esac; echo 3.13', "apt install python3.13-venv"),
])
def test_an_unfit_python_is_refused_in_words(set_up, tmp_path, python, complaint):
    result, _ = set_up(python=python, PYTHON="./python")
    assert result.returncode == 1
    assert complaint in result.stderr
    assert not (tmp_path / "env").exists()
    assert not (tmp_path / "env.lock").is_symlink()


def test_an_environment_is_made_once_and_remembers_its_choices(set_up):
    assert ".[dev,cuda]" in set_up("cuda", PYTHON="./python")[1]
    assert set_up("cuda", PYTHON="./python")[1] == ""
    assert set_up()[1] == ""
    assert ".[dev,tpu]" in set_up("tpu")[1]


def test_an_environment_is_made_again_when_what_it_holds_changes(set_up, tmp_path):
    set_up(PYTHON="./python")
    pyproject = tmp_path / "pyproject.toml"
    text = pyproject.read_text()
    for path in tmp_path.rglob("*"):
        path.touch()
    pyproject.write_text(text + "# a tool's setting\n")
    assert set_up()[1] == "", "neither dates nor settings of tools matter"
    pyproject.write_text(text.replace("optax>=", "optax>"))
    assert "pip install" in set_up()[1]


def test_a_set_up_cut_short_starts_over(set_up):
    result, _ = set_up(python=STAND_IN.replace("esac", '*"pip install"*) exit 1 ;; esac'), PYTHON="./python")
    assert result.returncode == 1
    assert "The next make starts over" in result.stderr
    assert "venv --clear" in set_up(PYTHON="./python")[1]


def test_tested_versions_cover_what_is_required_and_name_no_host():
    extras = PYPROJECT["project"]["optional-dependencies"]
    required = [*PYPROJECT["project"]["dependencies"], "libtpu", *(
        line for extra in ("experiments", "dev", "peers", "tpu-check") for line in extras[extra])]
    names = {re.match(r"[\w-]+", line)[0].replace("_", "-") for line in required} - {"sandbox"}
    for path in sorted((ROOT / ".ci").glob("versions-*.txt")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r"[a-z0-9_.-]+==[a-z0-9.+]+", line) for line in lines), path.name
        assert names <= {line.partition("==")[0].replace("_", "-") for line in lines}, path.name
    for path in (ROOT / ".ci").iterdir():
        assert not re.search(r"https?://|index-url|find-links", path.read_text()), path.name


def imported_packages(path: Path) -> set[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [str(node.module)]
    return {name.partition(".")[0] for name in names}


def test_importing_sandbox_brings_little_besides_what_it_requires():
    script = """import sys, jax, flax, flax.linen, optax, chex
before = set(sys.modules)
import sandbox
print(*(name for name in set(sys.modules) - before if name.split(".")[0] != "sandbox"))"""
    brought = run(sys.executable, "-c", script, JAX_PLATFORMS="cpu").stdout.split()
    assert len(brought) < 40 and not [name for name in brought if "pallas" in name], brought


def test_sandbox_imports_only_what_it_requires():
    allowed = {"sandbox", "jax", "numpy", "optax", "flax", "chex"} | sys.stdlib_module_names
    impure = {"io", "logging", "os", "pathlib", "random", "shutil", "subprocess", "sys", "time"}
    for path in sorted((ROOT / "sandbox").rglob("*.py")):
        assert imported_packages(path) <= allowed - impure, path.relative_to(ROOT)
