"""A mesh that an experiment cannot use is refused before anything is computed, in words that name the flag."""

import re

import pytest

import experiments
from experiments.runner import meshes
from experiments.runner.config import RunConfig
from experiments.runner.errors import UserError
from experiments.runner.run import start


@pytest.mark.parametrize("mesh, words", [
    ("model=2", "--mesh must be of an axis called data, got model=2"),
    ("data=2,expert=2", "--mesh must be of an axis called data, got data=2,expert=2"),
    ("data=0", "--mesh: a mesh needs axes of size 1 or more, got 'data=0'"),
    ("data=3", "--batch-size must be a multiple of the 3 devices along data, got 8"),
])
def test_axes_that_do_not_exist_and_rows_that_do_not_divide_are_refused(mesh, words):
    with pytest.raises(UserError, match=re.escape(words)):
        meshes.require_seeds_or(RunConfig(mesh=mesh), "--batch-size", 8)


def test_an_axis_beside_data_is_there_where_an_experiment_has_a_use_for_it():
    meshes.require_axes(RunConfig(mesh="data=2,model=2"), "model")
    with pytest.raises(UserError, match="of an axis called data, and if wanted model, got"):
        meshes.require_axes(RunConfig(mesh="data=2,expert=2"), "model")


def test_a_mesh_of_other_than_all_devices_is_refused(tmp_path):
    with pytest.raises(UserError, match="--mesh: a mesh of data=3 needs 3 devices, there are 8"):
        with start("tiny", RunConfig(mesh="data=3", out=tmp_path / "run")):
            pass
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name, mesh, words", [
    ("attention", "data=7", "--batch-size must be a multiple of the 7"),
    ("attention", "data=1,model=2", "--heads must be a multiple of the 2 devices along model, got 3"),
    ("convolution", "data=7", "--batch-size must be a multiple of the 7"),
    ("gan", "data=7", "--batch-size must be a multiple of the 7"),
    ("kalman", "data=7", "--seeds must be a multiple of the 7"),
    ("matrix_factorization", "rows=7", "--mesh must be of an axis called data"),
    ("reinforce", "data=7", "--environments must be a multiple of the 7"),
    ("score_matching", "data=7", "--batch-size must be a multiple of the 7")])
def test_every_experiment_refuses_what_it_cannot_divide(name, mesh, words):
    with pytest.raises(UserError, match=words):
        experiments.configure(name, mesh=mesh)
