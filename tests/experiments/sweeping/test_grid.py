"""What --sweep asks for, and what is refused before anything runs."""

import dataclasses

import pytest

import experiments
from experiments.runner.errors import UserError
from experiments.sweeping.grid import points_of


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
    ("kalman", ["lerning_rate=1"], "there is no key 'lerning_rate'; the keys are .*steps, learning_rate"),
    ("kalman", ["out=a,b"], "there is no key 'out'"),
    ("kalman", ["seed=1,2"], "seed is the same at every point; the keys are"),
    ("kalman", ["steps"], "must read like learning_rate=1e-4,1e-3 l2=0.01,0.1, got 'steps'"),
    ("kalman", ["steps=2", "steps=3"], "must name each key once, got steps twice"),
    ("kalman", ["learning_rate=0.1,1e-1"], "must name each value of learning_rate once, got 0.1 twice"),
    ("kalman", ["steps=1.5"], "steps=1.5: --steps takes int"),
    ("kalman", ["learn_start=maybe"], "--learn-start takes True or False"),
    ("gan", ["generator_rate=fast"], "--generator-rate takes float or None"),
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
