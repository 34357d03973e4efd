"""Sweeps of the tiny experiment as a user starts them: to the end, killed, gone on with, refused."""

import json
import shutil
import signal
import time

import numpy as np
import pytest

import experiments
from experiments.runner import checkpoints, directory, metrics
from experiments.runner.errors import UserError
from experiments.sweeping import run as sweeping
from tests.experiments import command

pytestmark = pytest.mark.usefixtures("with_tiny")

SWEEP = ("tiny", "--seeds", 2, "--sweep", "learning_rate=0.1,0.05,1e38", "num_steps=8,12")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A directory with a finished sweep, and what it printed."""
    cwd = tmp_path_factory.mktemp("swept")
    code, out, err = command.run(*SWEEP, cwd=cwd)
    assert code == 0, err
    [where] = (cwd / "runs" / "tiny").iterdir()
    return where, out


def of(where):
    return json.loads((where / "sweep.json").read_text())


def refused(outcome, *words):
    code, _, err = outcome
    assert code == 2 and all(word in err for word in words), err


def test_a_sweep_leaves_what_was_promised(swept):
    where, out = swept
    found = of(where)
    assert (found["experiment"], found["keys"], found["metric"]) == ("tiny", ["learning_rate", "num_steps"], "error")
    assert [point["values"] for point in found["points"]] == [
        {"learning_rate": rate, "num_steps": steps} for rate in (0.1, 0.05, 1e38) for steps in (8, 12)]
    for point in found["points"]:
        summary = json.loads((where / point["directory"] / "summary.json").read_text())
        assert point["metrics"] == summary["metrics"] and point["failures"] == summary["failures"]
    assert json.loads((where / "config.json").read_text())["sweep"] == list(SWEEP[4:])
    assert (where / "figures" / "heat_map.png").read_bytes().startswith(b"\x89PNG")
    assert not (where / "summary.json").exists() and not (where / "together").exists()
    assert "A sweep of 6 points: 3 x 2." in out and out.count("3 points train together") == 2
    assert "mean ± 95% interval of 2 values" in out and "│ learning_rate │ num_steps │" in out


def test_points_that_are_not_finite_are_named_and_are_a_result(swept):
    where, out = swept
    wild = [point for point in of(where)["points"] if point["values"]["learning_rate"] == 1e38]
    assert all(point["failures"] for point in wild) and len(wild) == 2
    assert out.count("│ not finite │") == 0 and out.count("not finite │") == 2
    assert "NOT FINITE: learning_rate=1e+38,num_steps=8: first, seed 0: " in out


def test_a_point_is_the_run_that_its_flags_make(swept, tmp_path):
    where, _ = swept
    point = where / "points" / "learning_rate=0.05,num_steps=12"
    code, _, err = command.call("tiny", "--seeds", 2, "--learning-rate", 0.05, "--num-steps", 12, "--out", "alone",
                                cwd=tmp_path)
    assert code == 0, err
    one, other = experiments.load(point), experiments.load(tmp_path / "alone")
    np.testing.assert_allclose(one.model, other.model, rtol=1e-4)
    assert one.summary["metrics"]["error"]["per_seed"] == pytest.approx(
        other.summary["metrics"]["error"]["per_seed"], rel=1e-4)
    lines, expected = metrics.read(point), metrics.read(tmp_path / "alone")
    assert [(line["stage"], line["step"], line["run"]) for line in lines] == [
        (line["stage"], line["step"], line["run"]) for line in expected]
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in expected], rel=1e-4)
    assert checkpoints.steps(point, "first") == [12]


def test_a_stage_that_follows_another_is_not_trained_before_it(swept):
    """Were it, the second stage would begin at 0 again, and its loss with it."""
    where, _ = swept
    lines = metrics.read(where / "points" / "learning_rate=0.1,num_steps=12")
    first, second = ([line["loss"] for line in lines if line["stage"] == stage] for stage in ("first", "second"))
    assert max(second[:2]) < min(first[-2:])


def test_a_finished_sweep_shows_itself_again(swept, tmp_path):
    where, _ = swept
    code, again, err = command.call("tiny", "--resume", where, cwd=tmp_path)
    assert code == 0, err
    assert again.count("not finite │") == 2 and "train together" not in again
    refused(command.call("tiny", "--resume", where, "--sweep-metric", "nope", cwd=tmp_path),
            "--sweep-metric must be one of error, got nope")
    refused(command.call("tiny", "--resume", where, "--sweep", "num_steps=1,2", cwd=tmp_path), "--sweep was", "now")
    with pytest.raises(UserError, match=r"is a sweep: below .*points are its runs"):
        experiments.load(where)


def test_only_what_is_left_is_run(swept, tmp_path, monkeypatch):
    where = tmp_path / "sweep"
    shutil.copytree(swept[0], where)
    (where / "sweep.json").unlink()
    (where / "points" / "learning_rate=0.05,num_steps=8" / "summary.json").unlink()
    kept = {path: path.stat().st_mtime_ns for path in where.glob("points/*/summary.json")}
    trained = []
    original = sweeping.train
    monkeypatch.setattr(sweeping, "train", lambda run, stage: trained.append(stage.num_steps) or original(run, stage))
    code, _, err = command.call("tiny", "--resume", where, cwd=tmp_path)
    assert code == 0, err
    assert trained == [8], "the group of eight steps alone"
    assert len(kept) == 5 and all(path.stat().st_mtime_ns == before for path, before in kept.items())
    assert of(where)["points"][2]["metrics"]["error"]["per_seed"] == pytest.approx(
        of(swept[0])["points"][2]["metrics"]["error"]["per_seed"], rel=1e-6)


@pytest.mark.slow
def test_a_sweep_that_is_stopped_or_killed_goes_on(tmp_path):
    """Stopped while all train together, then killed while points are finished."""
    flags = ("tiny", "--sweep", "learning_rate=0.1,0.05,0.2", "num_steps=8000")
    process = command.start(*flags, cwd=tmp_path)
    wait_for(process, tmp_path, "runs/tiny/*/together/*/metrics.jsonl")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    [where] = (tmp_path / "runs" / "tiny").iterdir()
    assert process.returncode == 128 + signal.SIGTERM and f"Go on with --resume runs/tiny/{where.name}" in err
    [before] = where.glob("together/*/checkpoints/first")
    reached = max(int(path.name) for path in before.iterdir())
    assert 0 < reached < 8000
    process = command.start("tiny", "--resume", cwd=tmp_path)
    wait_for(process, where, "points/*/summary.json")
    process.kill()
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in where.glob("points/*/summary.json")}
    code, _, err = command.run("tiny", "--resume", cwd=tmp_path)
    assert code == 0, err
    assert kept and all(path.stat().st_mtime_ns == time for path, time in kept.items())
    for point in of(where)["points"]:
        steps = [line["step"] for line in metrics.read(where / point["directory"], "first")]
        assert steps == list(range(4, 8001, 4)), "no line is lost or repeated"
    with pytest.raises(UserError, match=r"no unfinished run"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        directory.newest_unfinished("tiny")


def wait_for(process, where, pattern):
    while not list(where.glob(pattern)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_a_mesh_divides_each_point(swept, tmp_path):
    code, out, err = command.run("tiny", "--sweep", "learning_rate=0.1,0.05", "--num-steps", 8, "--seeds", 2, "--mesh",
                                 "data=2", "--out", "sweep", cwd=tmp_path)
    assert code == 0, err
    assert "on 2 x cpu" in out and "2 points train together" in out
    for mine, other in zip(of(tmp_path / "sweep")["points"], of(swept[0])["points"][:4:2], strict=True):
        assert mine["metrics"]["error"]["per_seed"] == pytest.approx(other["metrics"]["error"]["per_seed"], rel=1e-4)


def test_a_sweep_from_python_shows_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = experiments.sweep("tiny", learning_rate=np.array([0.1, 0.2]), num_steps=range(4, 5))
    assert "│           0.2 │" in repr(found) and found.directory.exists()
    assert [row.values for row in found.points] == [{"learning_rate": rate, "num_steps": 4} for rate in (0.1, 0.2)]
    with pytest.raises(UserError, match=r"no experiment 'tinny'; the experiments are .*tiny"):
        experiments.sweep("tinny", learning_rate=[0.1])


def test_what_cannot_be_swept_is_refused_before_anything_runs(tmp_path):
    refused(command.call("tiny", "--sweep", "rate=1,2", cwd=tmp_path), "there is no key 'rate'", "The keys are")
    refused(command.call("--all", "--sweep", "num_steps=1,2", cwd=tmp_path), "--sweep goes with one experiment")
    with pytest.raises(UserError, match=r"--distributed must be left out of a sweep"):
        sweeping.run(experiments.tiny, experiments.tiny.Config(distributed=True, sweep=("num_steps=1,2",)))
    assert not (tmp_path / "runs").exists()
