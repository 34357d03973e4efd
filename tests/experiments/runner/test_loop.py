"""The training loop where runs fail: nothing that comes after is lost or told twice."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import pytest

from experiments.runner import metrics
from experiments.runner.config import RunConfig, digest
from experiments.runner.errors import UserError
from experiments.runner.loop import train
from experiments.runner.run import start
from experiments.runner.stage import Stage


def bad(state):
    return {"x": jnp.where(state["n"] >= 5, jnp.nan, state["x"]), "n": state["n"] + 1}, {"x": state["x"]}


def good(state):
    return {"x": state["x"] + 1, "n": state["n"] + 1}, {"x": state["x"]}


def take(config, stages, data=""):
    """Train the stages; returns what the log says of them, and who failed."""
    with start("tiny", config, data) as run:
        for stage, step in stages:
            state = {"x": jnp.ones(1), "n": jnp.zeros(1, jnp.int32)}
            train(run, Stage(stage, lambda state: state, (state,), step, (), num_steps=8, chunk_steps=4,
                             labels=["seed 0"]))
        return [(line["stage"], line["step"]) for line in metrics.read(run.directory)], run.failures


def test_a_stage_whose_runs_all_fail_ends_there_and_stays_so_when_resumed(tmp_path):
    stages = [("a", bad), ("b", good), ("c", good)]
    take(RunConfig(out=tmp_path / "run"), stages[:2])
    lines, failures = take(RunConfig(resume=tmp_path / "run"), stages)
    assert lines == [("a", 4), ("a", 8), ("b", 4), ("b", 8), ("c", 4), ("c", 8)]
    assert [(one.stage, one.label, one.step, one.leaf) for one in failures] == [("a", "seed 0", 6, "['x']")]


def test_other_data_are_refused(tmp_path):
    take(RunConfig(out=tmp_path / "run"), [("a", good)], data="one")
    with pytest.raises(UserError, match=r"the data of .* have changed since it began"):
        take(RunConfig(resume=tmp_path / "run"), [("a", good)], data="another")


@dataclasses.dataclass(frozen=True)
class Dealt(RunConfig):
    """Of an experiment whose rows are dealt out to the devices of its mesh."""

    mesh_decides = True


def test_a_state_that_goes_by_the_order_of_a_mesh_is_refused_on_another(tmp_path):
    config = Dealt(mesh="data=8", out=tmp_path / "run")
    take(config, [("a", good)])
    with pytest.raises(UserError, match="made with other flags: --mesh was data=8, now None"):
        take(Dealt(resume=tmp_path / "run"), [("a", good)])
    assert digest(config) != digest(Dealt()) and digest(RunConfig(mesh="data=8")) == digest(RunConfig())


def test_a_cut_never_lengthens_the_log(tmp_path):
    metrics.append(Path(tmp_path), "a", 1, ["seed 0"], {"x": jnp.ones(1)}, 0.0)
    size = metrics.flush(tmp_path)
    metrics.cut(tmp_path, size + 100)
    assert metrics.flush(tmp_path) == size
