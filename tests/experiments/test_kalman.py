"""The sensor-fusion experiment, a few steps of it through its real command line."""

import json
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments.runner.errors import UserError
from experiments.tracking import problem
from tests.experiments import command

SHORT = ("kalman", "--steps", 30, "--smoother-iterations", 1)
BEACONS = pathlib.Path(os.environ.get("SANDBOX_DATA", "")) / "range-beacons" / "Plaza2.mat"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("kalman")
    code, out, err = command.run(*SHORT, cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "kalman" / "latest", out


@pytest.mark.slow
def test_a_short_run_learns_the_noise_and_has_every_metric_and_figure(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    metrics = {name: metric["mean"] for name, metric in summary["metrics"].items()}
    for error in ("rmse_px", "rmse_py", "rmse_vx", "rmse_vy"):
        assert metrics[f"smoothed_{error}"] < metrics[error] and f"{error}_settled" in metrics
    assert metrics["rmse_px"] < 0.15, "the lidar's own noise, m"
    assert metrics["lidar"] == pytest.approx(0.15, rel=0.3) and metrics["radar_bearing"] == pytest.approx(0.03, rel=0.4)
    assert 0.85 < metrics["nis_in_band"] <= 1
    assert {path.name for path in (directory / "figures").iterdir()} == {
        "errors.png", "learning.png", "surprise.png", "track.png"}
    assert "Learned noise" in out


@pytest.mark.slow
def test_a_finished_run_filters_and_refuses_what_cannot_be(finished):
    tracker = experiments.load(finished[0]).model
    task = problem.read("embedded")
    filtered, smoothed = tracker.smooth(task.track)
    error = [np.linalg.norm(problem.truth(task)[:, :2] - task.seen(means)[:, :2], axis=1).mean()
             for means in (filtered.updated.mean, smoothed.rows.mean)]
    assert error[1] < error[0] < 0.2
    backwards = task.track._replace(dt_seconds=task.track.dt_seconds.at[7].multiply(-1))
    with pytest.raises(ValueError, match=r"row 7: dt_seconds is -0\.0"):
        tracker.filter(backwards)
    exact = tracker.params._replace(log_lidar=jnp.array(-jnp.inf))
    with pytest.raises(ValueError, match="sensor 0: R is singular"):
        type(tracker)(tracker.model, exact, 1, 1).filter(task.track)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, tmp_path):
    command.kill_and_resume(*SHORT, stage="learn", cwd=tmp_path)
    never, twice = (json.loads((where / "summary.json").read_text())["metrics"]
                    for where in (finished[0], tmp_path / "run"))
    assert twice == never


@pytest.mark.slow
@pytest.mark.skipif(not BEACONS.is_file(), reason="SANDBOX_DATA has no range-beacons: see README")
def test_beacons_read_long_and_it_finds_out(tmp_path):
    code, _, err = command.run("kalman", "--dataset", "range-beacons", "--steps", 30, cwd=tmp_path)
    assert code == 0, err
    summary = json.loads((tmp_path / "runs" / "kalman" / "latest" / "summary.json").read_text())
    metrics = {name: metric["mean"] for name, metric in summary["metrics"].items()}
    assert 1.05 < metrics["range_scale"] < 1.09, "the ranges of this recording read some 7% long"
    assert metrics["smoothed_rmse_position"] < metrics["rmse_position"] < 1.0


@pytest.mark.parametrize(("flags", "words"), [
    (("--steps", 0), "--steps must be at least 1, got 0"),
    (("--update-iterations", 0), "--update-iterations must be at least 1, got 0"),
    (("--learning-rate", -1), "--learning-rate must be positive and finite, got -1.0"),
    (("--dataset", "plaza"), "--dataset must be embedded, lidar-radar or range-beacons, got 'plaza'"),
])
def test_wrong_flags_are_refused(flags, words, tmp_path):
    code, _, err = command.call("kalman", *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err


def test_guesses_differ_by_seed_in_noise_alone():
    task = problem.read("embedded")
    drawn = jax.vmap(lambda key: problem.guess(task, key))(jax.random.split(jax.random.key(0), 3))
    assert len(set(np.asarray(drawn.log_lidar).tolist())) == 3
    assert np.array_equal(drawn.start, np.tile(task.guess.start, (3, 1)))
    assert np.array_equal(drawn.log_start_std, np.tile(task.guess.log_start_std, (3, 1))), "what is not learned stays"
    with pytest.raises(UserError, match="--dataset must be"):
        problem.read("nowhere")
