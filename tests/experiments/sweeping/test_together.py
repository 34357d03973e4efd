"""Points trained together: each is what it is alone, and what is no mere number is found out."""

import dataclasses
import importlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments.runner import checkpoints
from experiments.runner.config import RunConfig
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import Stage, chunk
from experiments.sweeping import together
from experiments.sweeping.grid import points_of

REAL = {
    "attention": ({"steps": 4, "layers": 1, "width": 16, "heads": 1, "context": 8, "batch_size": 2, "seeds": 2}, [
        "matrix_learning_rate=0.02,0.01", "embedding_learning_rate=0.02,0.03", "head_learning_rate=0.005,0.1",
        "vector_learning_rate=0.01,0.02", "momentum=0.85,0.5", "label_smoothing=0.0,0.1", "z_loss=0.0,0.01"]),
    "convolution": ({"epochs": 0.2, "widths": (4,), "depths": (0,), "seeds": 2}, [
        "kernel_learning_rate=0.05,0.1", "learning_rate=0.01,0.1", "momentum=0.9,0.5", "label_smoothing=0.1,0.3"]),
    "gan": ({"steps": 10, "widths": (8,), "batch_size": 8, "seeds": 2}, [
        "generator_rate=0.001,0.01", "discriminator_rate=0.01,0.001", "momentum=0.0,0.5", "r1=1.0,0.0", "r2=0.5,2.0",
        "penalty_fall=0.1,0.5", "diverged_beyond=1e6,1e5"]),
    "kalman": ({"steps": 4, "seeds": 2, "learn_start": False}, ["learning_rate=0.1,0.3"]),
    "matrix_factorization": ({"folds": 1, "sweeps": 4, "burn_in": 1, "rank": 2, "point_rank": 1, "implicit_rank": 2,
                              "point_epochs": 2}, [
        "unobserved_weight=0.1,0.2", "implicit_l2=0.1,1.0", "implicit_power=0.75,0.5"]),
    "reinforce": ({"seeds": 2, "steps": 4096, "plain_steps": 100, "plain_batches": 2, "plain_episodes": 2}, [
        "learning_rate=0.001,0.003", "discount=0.9,0.99", "trace=0.5,0.95", "reward_scale=0.05,0.1", "clip=0.1,0.2",
        "entropy_weight=0.0,0.01", "plain_learning_rate=0.01,0.1", "plain_discount=1.0,0.9"]),
    "score_matching": ({"steps": 10, "width": 8, "layers": 1, "batch_size": 8, "seeds": 2}, [
        "learning_rate=0.003,0.01", "level_mean=0.8,0.5", "level_std=1.2,1.0"]),
}


def test_every_experiment_is_here():
    assert set(REAL) <= set(experiments.names())


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_point_among_others_is_the_same_alone(name):
    flags, words = REAL[name]
    module = importlib.import_module(f"experiments.{name}")
    first, *_, last = points_of(experiments.configure(name, **flags, sweep=tuple(words)))
    assert all(first.values[key] != last.values[key] for key in first.values)
    stages = together.trained_together(module, [first, last], list(first.values), None)
    assert stages, "every one of these keys is a mere number"
    alone = module.stages(last.config, module.read(last.config), None)
    for joined, own in zip(stages, alone, strict=True):
        (_, ends), values = two_steps(joined)
        expected, expected_values = two_steps(own)
        assert joined.labels[-1] == f"{last.label}, {own.labels[-1]}"
        mine = together.of_point((ends, values), 1, len(own.labels))
        for (path, found), wanted in zip(jax.tree_util.tree_leaves_with_path(mine),
                                         jax.tree.leaves((expected, expected_values)), strict=True):
            assert_close(found, wanted, f"{own.name} {jax.tree_util.keystr(path)}")


def two_steps(stage):
    """State and metrics of a stage after its first two steps."""
    state = jax.jit(stage.initial)(*stage.given)
    after, values, finite = jax.jit(chunk(stage, 2, platform="cpu", mesh=None))(state, *stage.data)
    assert finite.all()
    return after, values


def assert_close(found, wanted, where):
    assert found.dtype == wanted.dtype, where
    if jnp.issubdtype(found.dtype, jnp.floating):
        scale = max(float(jnp.abs(wanted).max()), 1e-6) if wanted.size else 1.0
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * scale, err_msg=where)
    elif jax.dtypes.issubdtype(found.dtype, jax.dtypes.prng_key):
        assert (jax.random.key_data(found) == jax.random.key_data(wanted)).all(), where
    else:
        assert (found == wanted).all(), where


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Keys of all kinds."""

    rate: float = 0.1
    in_data: float = 1.0
    in_task: float = 1.0
    in_closure: float = 1.0
    in_start: float = 1.0
    in_length: float = 1.0
    in_key: float = 1.0
    branch: float = 1.0
    number: int = 1


def stages(config, task, mesh):
    """w ← w − rate · w, and each key has its say somewhere else."""
    def step(w, data):
        w = (w * 2 if config.branch > 0.5 else w) - config.rate * w
        return w + task["closure"]() * data, {"w": w}

    keys = seed_keys(config)
    if config.in_key != 1.0:
        keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    return (Stage("learn", jax.vmap(lambda key: jax.random.normal(key) * config.in_start), (keys,), step,
                  (jnp.float32(config.in_data),), num_steps=round(2 * config.in_length), chunk_steps=1,
                  labels=seed_labels(config)),)


def read(config):
    """Two keys are used here: at once, and later by a closure."""
    return {"at_once": config.in_task * 2.0, "closure": lambda: jnp.float32(1.0) * config.in_closure}


TOY = SimpleNamespace(read=read, stages=stages)


def toy_points(*keys):
    return points_of(Config(sweep=tuple(f"{key}={'1,2' if key == 'number' else '1.0,0.25'}" for key in keys)))


def test_keys_that_more_than_steps_and_starts_depend_on_are_found_out():
    keys = [field.name for field in dataclasses.fields(Config)][-9:]
    assert together.mere_numbers(TOY, toy_points(*keys)) == ["rate", "in_start"]
    for key in set(keys) - {"rate", "in_start"}:
        assert together.mere_numbers(TOY, toy_points(key)) == [], key


def test_points_are_grouped_by_what_is_no_mere_number():
    groups = together.groups_of(TOY, toy_points("rate", "number", "in_start"), None)
    assert [len(group) for group, _ in groups] == [4, 4] and all(stages for _, stages in groups)
    assert [[point.values["number"] for point in group] for group, _ in groups] == [[1] * 4, [2] * 4]
    alone = together.groups_of(TOY, toy_points("number"), None)
    assert [(len(group), stages) for group, stages in alone] == [(1, []), (1, [])]


def test_what_is_not_finite_in_float32_does_not_ride_in_a_state_and_the_others_do():
    assert together.mere_numbers(TOY, points_of(Config(sweep=("rate=inf,1.0",)))) == []
    points = points_of(Config(sweep=("rate=1e39,0.5,nan,1.0", "in_start=1.0,2.0")))
    with np.errstate(over="ignore"):
        groups = together.groups_of(TOY, points, None)
    assert [[point.label for point in group] for group, _ in groups] == [
        [f"rate=1e+39,in_start={start}" for start in (1, 2)],
        [f"rate={rate},in_start={start}" for rate in (0.5, 1) for start in (1, 2)],
        [f"rate=nan,in_start={start}" for start in (1, 2)]]
    assert all(stages for _, stages in groups)


def test_leaves_go_by_the_names_that_they_have_alone():
    [stage] = together.groups_of(TOY, toy_points("rate"), None)[0][1]
    state = jax.eval_shape(stage.initial, *stage.given)
    assert [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)] == ["[0]", ""]
    assert checkpoints.describe(state) == ["numbers/0 float32 [2]", "state float32 [2]"]
