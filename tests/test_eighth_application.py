"""An eighth application is added in under 100 lines: done here, in a copy of the project, by the files of eighth/."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EIGHTH = Path(__file__).parent / "eighth"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The project with one application more."""
    root = tmp_path_factory.mktemp("project")
    for name in ("sandbox", "experiments", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "eighth"))
    shutil.copytree(EIGHTH, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (ROOT / "pyproject.toml").read_text()
    assert settings.count("(score_matching)") == 1
    (root / "pyproject.toml").write_text(settings.replace("(score_matching)", "(score_matching) | (logistic)"))
    return root


def call(root, *command):
    """Output of a command in the copy, which must succeed."""
    done = subprocess.run(command, cwd=root, env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(root)},
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_takes_under_a_hundred_lines():
    lines = [line for file in EIGHTH.rglob("*.py") for line in file.read_text().splitlines() if line.strip()]
    assert len(lines) + 1 < 100, "with the one of pyproject.toml"


def test_it_learns_by_the_command_line(copy):
    assert "test_accuracy" in call(copy, sys.executable, "-m", "experiments", "logistic", "--seeds", "2")
    summary = json.loads((copy / "runs" / "logistic" / "latest" / "summary.json").read_text())
    assert summary["metrics"]["test_accuracy"]["mean"] > 0.63, "the share of the larger class"


def test_it_is_certified(copy):
    assert "E (p − y) x" in call(copy, sys.executable, "-m", "experiments.verify", "--only", "logistic")


def test_the_tests_of_all_applications_take_it_in(copy):
    tests = ("tests/sandbox/test_contract.py", "tests/sandbox/test_identities.py", "tests/test_doctests.py",
             "tests/experiments/desk/test_notebooks.py", "tests/experiments/verify/test_certificate.py",
             "tests/experiments/gallery/test_page.py", "tests/experiments/sweeping/test_together.py")
    said = call(copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests, "-k",
                "logistic or log_loss or every_application or every_experiment")
    assert "passed" in said


def test_its_imports_are_held_to_the_contracts(copy):
    assert "2 kept, 0 broken" in call(copy, str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
