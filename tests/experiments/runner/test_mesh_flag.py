"""A mesh that an experiment cannot use is refused before anything is computed, in words that name the flag."""

import importlib
import re

import pytest

import experiments
from experiments.runner.config import RunConfig
from experiments.runner.errors import UserError
from experiments.runner.run import require_mesh, start


@pytest.mark.parametrize("mesh, words", [
    ("model=2", "--mesh must be of an axis called data, got model=2"),
    ("data=2,expert=2", "--mesh must be of an axis called data, got data=2,expert=2"),
    ("data=3", "--batch-size must be a multiple of data=3, got 8"),
])
def test_axes_that_do_not_exist_and_rows_that_do_not_divide_are_refused(mesh, words):
    with pytest.raises(UserError, match=re.escape(words)):
        require_mesh(RunConfig(mesh=mesh), "--batch-size", 8)


def test_an_axis_beside_data_is_there_where_an_experiment_has_a_use_for_it():
    require_mesh(RunConfig(mesh="data=2,model=2"), "--batch-size", 8, axes=("data", "model"))
    with pytest.raises(UserError, match="of an axis called data, and if wanted model, got"):
        require_mesh(RunConfig(mesh="data=2,expert=2"), "--batch-size", 8, axes=("data", "model"))


def test_a_mesh_of_other_than_all_devices_is_refused(tmp_path):
    with pytest.raises(UserError, match="--mesh: a mesh of data=3 needs 3 devices, there are 8"):
        with start("tiny", RunConfig(mesh="data=3", out=tmp_path / "run")):
            pass
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name, flag", [
    ("attention", "--batch-size"), ("convolution", "--batch-size"), ("gan", "--batch-size"), ("kalman", "--seeds"),
    ("reinforce", "--environments"), ("score_matching", "--batch-size")])
def test_every_experiment_refuses_what_it_cannot_divide(name, flag, tmp_path):
    config = experiments.configure(name, mesh="data=7", out=tmp_path / "run")
    with pytest.raises(UserError, match=f"{flag} must be a multiple of data=7"):
        importlib.import_module(f"experiments.{name}").run(config)
    assert not (tmp_path / "run").exists()
