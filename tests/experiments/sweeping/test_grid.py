"""What --sweep asks for, and what is refused before anything runs."""

import dataclasses

import numpy as np
import pytest

import experiments
from experiments.runner.errors import UserError
from experiments.sweeping.grid import points_of, sweep_words


def points(name, *words, **flags):
    return points_of(experiments.configure(name, sweep=words, **flags))


def test_every_combination_is_a_config_the_last_key_changing_fastest():
    found = points("kalman", "learning-rate=1e-1,0.01", "steps=3,4", seeds=2)
    assert [point.values for point in found] == [{"learning_rate": rate, "steps": steps}
                                                 for rate in (0.1, 0.01) for steps in (3, 4)]
    for point in found:
        assert point.config == experiments.configure("kalman", seeds=2, **point.values)
    assert found[1].label == found[1].folder == "learning_rate=0.1,steps=4"


def test_values_are_read_as_their_flags_read_them():
    assert [point.values["learn_start"] for point in points("kalman", "learn_start=True,no")] == [True, False]
    assert [point.values["widths"] for point in points("gan", "widths=8+4,16")] == [(8, 4), (16,)]
    assert [point.values["generator_rate"] for point in points("gan", "generator_rate=None,1e-3")] == [None, 1e-3]
    [_, path] = points("attention", "dataset=embedded,some/text.txt")
    assert path.values["dataset"] == "some/text.txt" and "/" not in path.folder


@pytest.mark.parametrize(("name", "words", "says"), [
    ("kalman", ["lerning_rate=1"], "no key 'lerning_rate'; did you mean learning_rate\\?\nThe keys are .*steps"),
    ("kalman", ["out=a,b"], "there is no key 'out'"),
    ("kalman", ["seed=1,2"], "seed is the same at every point\nThe keys are"),
    ("kalman", ["steps"], "must read like learning_rate=1e-4,1e-3 l2=0.01,0.1, got 'steps'"),
    ("kalman", ["steps=2", "steps=3"], "must name each key once, got steps twice"),
    ("kalman", ["learning_rate=0.1,1e-1"], "must name each value of learning_rate once, got 0.1 twice"),
    ("kalman", ["steps=1.5"], "--sweep: --steps takes int, got '1.5'"),
    ("kalman", ["learn_start=maybe"], "--learn-start takes True or False, got 'maybe'"),
    ("gan", ["generator_rate=fast"], "--generator-rate takes float or None, got 'fast'"),
    ("kalman", ["learning_rate=0.1,"], "there is an empty value of learning_rate"),
    ("kalman", ["learning_rate=nan,nan"], "must name each value of learning_rate once, got nan twice"),
    ("kalman", ["learning_rate=1e-400"], "--learning-rate takes numbers that a float can hold, got '1e-400'"),
    ("kalman", ["learning_rate=1e999"], "--learning-rate takes numbers that a float can hold, got '1e999'"),
    ("matrix_factorization", ["implicit_power=nan"], "--implicit-power must be 0 or more, and finite, got nan"),
    ("matrix_factorization", ["implicit_power=-1"], "--implicit-power must be 0 or more, and finite, got -1.0"),
    ("kalman", ["learning_rate=0.1,-1"], "at learning_rate=-1: --learning-rate must be positive and finite, got -1.0"),
    ("gan", ["method=alternating,consensus", "critic_steps=1,2"],
     "at method=consensus,critic_steps=2: --critic-steps must be 1 where players move by consensus, got 2"),
    ("kalman", [], "a sweep needs a key at least"),
])
def test_what_cannot_be_is_refused_in_words(name, words, says):
    with pytest.raises(UserError, match=says):
        points(name, *words)


def test_points_are_ordinary_runs():
    [point, _] = points("kalman", "steps=3,4", sweep_metric="rmse_px", profile=True)
    assert dataclasses.replace(point.config, steps=100) == experiments.configure("kalman")


def test_every_point_has_a_directory_that_a_path_takes():
    found = [point.folder for point in points("attention", f"dataset=a/b,a-b,{'x' * 300},{'x' * 299}y")]
    assert len(set(found)) == 4 and found[1] == "dataset=a-b"
    assert all(len(folder) < 200 and "/" not in folder for folder in found)


@pytest.mark.parametrize("flags, words", [
    ({"mesh": "data=2"}, "--seeds must be a multiple of the 2 devices along data, got 1"),
    ({"sweep_metric": "rmse_px"}, "--sweep-metric must be left out where there is no --sweep, got rmse_px")])
def test_what_no_point_could_use_is_refused_by_the_config(flags, words):
    with pytest.raises(UserError, match=words):
        experiments.configure("kalman", **flags)


def test_a_mesh_is_held_against_every_point():
    with pytest.raises(UserError, match="at batch_size=5: --batch-size must be a multiple of the 2 devices"):
        points("attention", "batch_size=4,5", mesh="data=2")


def test_python_s_values_become_words():
    assert sweep_words(rate=[np.float32(0.1), 1e-3], on=[True]) == (
        "rate=0.1,0.001", "on=True")
    with pytest.raises(UserError, match="a value at least of each key, got none of rate"):
        sweep_words(rate=[])
    with pytest.raises(UserError, match="no value with a comma in it, got 'a,b' of prompt"):
        sweep_words(prompt=["a,b"])
