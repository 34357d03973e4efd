"""--track tensorboard, read back by TensorBoard's own reader."""

import json
import shutil
import warnings
from pathlib import Path

import pytest

import experiments
from experiments.runner import metrics
from tests.experiments import command

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

FLAGS = ("tiny", "--seeds", 2, "--num-steps", 12)


@pytest.fixture(autouse=True)
def with_tiny(monkeypatch):
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(Path(command.__file__).parent / "extra")])


def reader(where):
    found = EventAccumulator(str(where))
    found.Reload()
    return found


def scalars(run):
    """What TensorBoard has of a run: (seed, stage/metric, step, value)."""
    found = []
    for home in sorted(path for path in (run / "tensorboard").iterdir() if path.is_dir()):
        events = reader(home)
        found += [(home.name, tag, event.step, event.value) for tag in events.Tags()["scalars"]
                  for event in events.Scalars(tag)]
    return sorted(found)


def logged(run):
    """The same of metrics.jsonl."""
    return sorted((line["run"], f"{line['stage']}/loss", line["step"], line["loss"]) for line in metrics.read(run)
                  if line["loss"] is not None)


def test_every_line_is_told_with_the_flags_and_the_end(tmp_path):
    code, _, err = command.call(*FLAGS, "--track", "tensorboard", "--out", "run", cwd=tmp_path)
    assert code == 0, err
    run = tmp_path / "run"
    assert len(logged(run)) == 12 and scalars(run) == logged(run)
    of_run = reader(run / "tensorboard")
    [text] = of_run.Tensors("flags/text_summary")
    assert b"| num_steps | 12 |" in text.tensor_proto.string_val[0]
    [end] = of_run.Scalars("summary/error")
    assert end.value == pytest.approx(json.loads((run / "summary.json").read_text())["metrics"]["error"]["mean"])
    assert "_hparams_/session_start_info" in of_run.summary_metadata


@pytest.mark.parametrize("tracked", [("--track", "tensorboard"), ()])
def test_nothing_is_there_twice_nor_missing_where_tracking_began_late(tracked, tmp_path):
    """The run is brought back to where it was killed in its second stage, all of whose lines had been told."""
    assert command.call(*FLAGS, *tracked, "--out", "run", cwd=tmp_path)[0] == 0
    run = tmp_path / "run"
    (run / "summary.json").unlink()
    shutil.rmtree(run / "checkpoints" / "second")
    told = len(scalars(run)) if tracked else 0
    code, _, err = command.call("tiny", "--resume", "run", "--track", "tensorboard", cwd=tmp_path)
    assert code == 0, err
    assert told in (0, 12) and len(logged(run)) == 12 and scalars(run) == logged(run)


def test_a_killed_run_is_told_once(tmp_path):
    command.kill_and_resume("tiny", "--num-steps", 60, "--track", "tensorboard", stage="second", cwd=tmp_path)
    assert len(logged(tmp_path / "run")) == 30 and scalars(tmp_path / "run") == logged(tmp_path / "run")


def test_what_is_not_finite_is_left_out(tmp_path):
    command.call(*FLAGS, "--nan-seed", 1, "--num-steps", 20, "--track", "tensorboard", "--out", "run", cwd=tmp_path)
    assert len(metrics.read(tmp_path / "run")) > len(logged(tmp_path / "run"))
    assert scalars(tmp_path / "run") == logged(tmp_path / "run")


def test_each_point_of_a_sweep_is_tracked(tmp_path):
    code, _, err = command.call(*FLAGS, "--track", "tensorboard", "--sweep", "learning_rate=0.1,0.2", "--out", "sweep",
                                cwd=tmp_path)
    assert code == 0, err
    for point in (tmp_path / "sweep" / "points").iterdir():
        assert len(logged(point)) == 12 and scalars(point) == logged(point)
    assert not (tmp_path / "sweep" / "tensorboard").exists()


def test_a_sweep_that_goes_on_goes_on_to_track(tmp_path):
    assert command.call(*FLAGS, "--track", "tensorboard", "--sweep", "learning_rate=0.1,0.2", "--out", "sweep",
                        cwd=tmp_path)[0] == 0
    last = tmp_path / "sweep" / "points" / "learning_rate=0.2"
    shutil.rmtree(last)
    (tmp_path / "sweep" / "sweep.json").unlink()
    assert command.call("tiny", "--resume", "sweep", cwd=tmp_path)[0] == 0
    assert len(logged(last)) == 12 and scalars(last) == logged(last)


def test_an_unknown_tracker_is_refused_with_the_known_ones(tmp_path):
    code, _, err = command.call("tiny", "--track", "wandb", cwd=tmp_path)
    assert code == 2 and "--track must be tensorboard, got wandb" in err
