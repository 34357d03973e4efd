"""Sweeps that are stopped, asked for what is not there, damaged, and taken up again."""

import json
import shutil
import signal
from pathlib import Path

import pytest

import experiments
from experiments.runner import checkpoints, directory, metrics
from experiments.runner.errors import UserError
from experiments.sweeping import run as sweeping
from tests.experiments import command

pytestmark = pytest.mark.usefixtures("with_tiny")

TOGETHER, APART = "learning_rate=0.1,0.2", "num_steps=4,8"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The directory of a finished sweep, one of whose points failed."""
    cwd = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "__path__", [*experiments.__path__, str(Path(command.__file__).parent / "extra")])
        code, _, err = command.call("tiny", "--num-steps", 12, "--sweep", "learning_rate=0.1,1e38", "--out", "sweep",
                                    cwd=cwd)
    assert code == 0, err
    return cwd / "sweep"


@pytest.fixture
def copied(swept, tmp_path):
    return Path(shutil.copytree(swept, tmp_path / "sweep"))


def written(where):
    return {path: path.stat().st_mtime_ns for path in where.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", [TOGETHER, APART])
def test_a_signal_before_the_first_chunk_is_heeded(words, tmp_path, monkeypatch):
    groups_of = sweeping.groups_of
    monkeypatch.setattr(sweeping, "groups_of", lambda *a: signal.raise_signal(signal.SIGTERM) or groups_of(*a))
    code, _, err = command.call("tiny", "--sweep", words, "--out", "sweep", cwd=tmp_path)
    assert code == 128 + signal.SIGTERM and "Go on with --resume sweep" in err
    assert not (tmp_path / "sweep" / "points").exists()


def test_a_metric_that_there_is_not_is_refused_after_the_first_point_and_another_one_goes_on(tmp_path):
    code, _, err = command.call("tiny", "--sweep", APART, "--sweep-metric", "eror", "--out", "sweep", cwd=tmp_path)
    assert code == 2 and "must be one of error, got eror" in err and "--resume sweep --sweep-metric NAME" in err
    assert len(list(tmp_path.glob("sweep/points/*"))) == 1
    assert command.call("tiny", "--resume", "sweep", cwd=tmp_path)[0] == 2
    for flags in (("--sweep-metric", "error"), ()):
        code, _, err = command.call("tiny", "--resume", "sweep", *flags, cwd=tmp_path)
        assert code == 0, err


def test_a_finished_sweep_is_left_as_it_is(copied, tmp_path):
    shutil.rmtree(copied / "points" / "learning_rate=0.1" / "learned")
    before = written(copied)
    assert command.call("tiny", "--resume", copied, cwd=tmp_path)[0] == 0
    assert written(copied) == before


def test_another_metric_is_written_under_the_lock(copied, tmp_path):
    with directory.hold(copied):
        code, _, err = command.call("tiny", "--resume", copied, "--sweep-metric", "error", cwd=tmp_path)
        assert code == 0, err  # it is the one that is shown
        found = json.loads((copied / "sweep.json").read_text())
        (copied / "sweep.json").write_text(json.dumps({**found, "metric": "other"}))
        code, _, err = command.call("tiny", "--resume", copied, "--sweep-metric", "error", cwd=tmp_path)
        assert code == 2 and "another process is at work" in err
    assert command.call("tiny", "--resume", copied, "--sweep-metric", "error", cwd=tmp_path)[0] == 0
    assert json.loads((copied / "sweep.json").read_text())["metric"] == "error"


def test_a_damaged_table_is_made_of_the_points(copied, tmp_path, monkeypatch):
    whole = (copied / "sweep.json").read_text()
    (copied / "sweep.json").write_text("{")
    shutil.rmtree(copied / "points" / "learning_rate=0.1" / "learned")
    monkeypatch.setattr(sweeping, "groups_of", None)
    code, out, err = command.call("tiny", "--resume", copied, cwd=tmp_path)
    assert code == 0, err
    assert "It is made anew" in out and (copied / "sweep.json").read_text() == whole


def test_a_point_all_of_whose_runs_failed_ends_as_it_does_alone(swept, tmp_path):
    point = swept / "points" / "learning_rate=1e+38"
    assert command.call("tiny", "--num-steps", 12, "--learning-rate", "1e38", "--out", "alone", cwd=tmp_path)[0] == 1
    for stage in ("first", "second"):
        assert checkpoints.steps(point, stage) == checkpoints.steps(tmp_path / "alone", stage)
        assert [line["step"] for line in metrics.read(point, stage)] == [
            line["step"] for line in metrics.read(tmp_path / "alone", stage)]
    assert checkpoints.steps(point, "first") < [12]


def test_a_number_beyond_float32_is_a_point_that_fails(tmp_path):
    code, out, err = command.call("tiny", "--num-steps", 4, "--sweep", "learning_rate=1e39,0.1,0.2", "--out", "sweep",
                                  cwd=tmp_path)
    assert code == 0, err
    assert out.count("not finite │") == 1 and "2 points train together" in out and out.count("on 1 of") == 1


@pytest.mark.parametrize("flags, words", [
    (("--sweep",), "--sweep must be given once, with all of its keys after it"),
    (("--sweep", "--seeds", 2), "got none"),
    (("--sweep", TOGETHER, "--sweep", APART), "got it 2 times"),
    (("--sweep-metric", "error"), "--sweep-metric must be left out where there is no --sweep, got error")])
def test_a_sweep_that_is_not_said_wholly_is_refused(flags, words, tmp_path):
    code, _, err = command.call("tiny", *flags, cwd=tmp_path)
    assert code == 2 and words in err and not (tmp_path / "runs").exists()


def test_data_that_cannot_be_read_are_refused_before_anything_is_learned(tmp_path, monkeypatch):
    def read(config):
        if config.dataset == "nope":
            raise UserError("--dataset must be another one")

    monkeypatch.setattr(experiments.tiny, "read", read)
    code, _, err = command.call("tiny", "--sweep", "dataset=embedded,nope", cwd=tmp_path)
    assert code == 2 and "--dataset must be another one" in err and not (tmp_path / "runs").exists()
