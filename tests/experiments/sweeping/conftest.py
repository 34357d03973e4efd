"""The smallest experiment is one of them, for every test of sweeps that asks for it."""

from pathlib import Path

import pytest

import experiments
from tests.experiments import command


@pytest.fixture
def with_tiny(monkeypatch):
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(Path(command.__file__).parent / "extra")])
