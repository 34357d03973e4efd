"""Run directories as they are found: whole, half written, damaged, of another version."""

import json
import shutil

import numpy as np
import pytest

import experiments
from experiments.gallery import curves, documents, reading
from tests.experiments.gallery import made


def only_run(runs, name="kalman"):
    [shelf] = [shelf for shelf in reading.read(runs) if shelf.experiment == name]
    [run] = shelf.runs
    return run


def test_a_finished_run_is_read_whole(tmp_path, figure):
    directory = made.run(tmp_path, figure=figure, seeds=3)
    run = only_run(tmp_path)
    assert (run.state, run.notes, run.directory, run.seeds) == ("finished", [], directory, ["0", "1", "2"])
    assert run.metrics == [documents.Metric("rmse_px", 0.25, 0.03, [0.24, 0.25, 0.26], 0.3, "the best of others")]
    assert [path.name for path in run.figures] == ["errors.png", "track.png"]
    assert (run.sample, len(run.lines), run.config["learning_rate"]) == ("It is said.", 60, 0.1)


def test_every_experiment_has_a_shelf_and_the_newest_finished_run_speaks_for_it(tmp_path):
    for run_id in ("20260103-120000-a", "20260105-120000-b", "20260104-120000-c"):
        made.run(tmp_path, run_id=run_id)
    (tmp_path / "kalman" / "20260105-120000-b" / "summary.json").unlink()
    (tmp_path / "kalman" / "latest").symlink_to("20260103-120000-a")
    (tmp_path / "kalman" / ".20260106.123.tmp").mkdir()
    shelves = {shelf.experiment: shelf for shelf in reading.read(tmp_path)}
    assert set(shelves) == set(experiments.names())
    assert [run.directory.name[-1] for run in shelves["kalman"].runs] == ["b", "c", "a"]
    assert reading.newest_finished(shelves["kalman"]).directory.name == "20260104-120000-c"
    assert reading.newest_finished(shelves["gan"]) is None


def test_runs_elsewhere_under_runs_are_found_and_other_folders_are_not(tmp_path):
    made.run(tmp_path, name="an_eighth")
    shutil.move(made.run(tmp_path), tmp_path / "mine")
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "index.html").write_text("a page")
    (tmp_path / "notebooks" / "more").mkdir(parents=True)
    shelves = {shelf.experiment: [run.directory.name for run in shelf.runs] for shelf in reading.read(tmp_path)}
    assert shelves["an_eighth"] == ["20260101-120000-quick"]
    assert shelves["kalman"] == ["mine"]
    assert set(shelves) == {*experiments.names(), "an_eighth"}


@pytest.mark.parametrize(("damage", "state", "note"), [
    (lambda run: [path.unlink() for path in run.rglob("*") if path.is_file()], "unfinished", "no config.json"),
    (lambda run: (shutil.rmtree(run), run.mkdir()), "unfinished", "directory is empty"),
    (lambda run: (run / "summary.json").unlink(), "unfinished", "--resume"),
    (lambda run: (run / "summary.json").write_text('{"metrics": {"a'), "cannot be read", "summary.json cannot be read"),
    (lambda run: (run / "summary.json").write_text("[1, 2]"), "cannot be read", "holds no object"),
    (lambda run: (run / "summary.json").write_bytes(b"\xff\xfe\x00"), "cannot be read", "summary.json cannot be read"),
    (lambda run: (run / "summary.json").write_text("[" * 100_000), "cannot be read", "summary.json cannot be read"),
    (lambda run: (run / "config.json").write_text("{"), "cannot be read", "config.json cannot be read"),
    (lambda run: ((run / "manifest.json").unlink(), (run / "manifest.json").mkdir()), "cannot be read",
     "manifest.json"),
    (lambda run: (run / "metrics.jsonl").write_text('{"step": 1}\nnot a line\n{"step": 2}\n'), "finished", "at line 2"),
])
def test_a_damaged_run_is_named_for_what_it_is(tmp_path, damage, state, note):
    damage(made.run(tmp_path))
    run = only_run(tmp_path)
    assert run.state == state
    assert note in " ".join(run.notes)


def test_a_directory_that_is_closed_or_gone_is_named(tmp_path, monkeypatch):
    made.run(tmp_path)
    monkeypatch.setattr(reading, "read_run", lambda directory: directory.joinpath("gone").stat())
    run = only_run(tmp_path)
    assert (run.state, run.experiment) == ("cannot be read", "kalman")
    assert "gone" in run.notes[0]


def test_a_last_line_cut_short_by_a_kill_is_passed_over(tmp_path):
    directory = made.run(tmp_path, seeds=1, steps=3)
    with open(directory / "metrics.jsonl", "a") as file:
        file.write('{"stage": "learn", "st')
    assert (len(only_run(tmp_path).lines), only_run(tmp_path).notes) == (3, [])


def test_fields_of_another_kind_are_passed_over(tmp_path):
    directory = made.run(tmp_path)
    made.write(directory / "summary.json", {
        "metrics": {"a": 3, "b": {"mean": "x", "per_seed": 7}, "c": None,
                    "d": {"mean": 10**400, "per_seed": [None, "y"]}},
        "seeds": 5, "seconds": [1], "reference": 3, "failures": "no", "sample": {"a": 1}})
    made.write(directory / "manifest.json", {"started": 12, "devices": "many", "versions": 3, "command": "x"})
    run = only_run(tmp_path)
    assert [(metric.name, metric.mean, metric.per_seed) for metric in run.metrics] == [
        ("a", 3.0, []), ("b", None, []), ("c", None, []), ("d", None, [None, None])]
    assert (run.seeds, run.seconds, run.failures, run.sample) == ([], {}, [], "")


def test_a_run_of_another_version_says_which_flags_differ(tmp_path):
    path = made.run(tmp_path) / "config.json"
    assert only_run(tmp_path).version == ""
    config = json.loads(path.read_text())
    del config["learn_start"]
    made.write(path, {**config, "of_old": 1})
    run = only_run(tmp_path)
    assert run.version == "it lacks learn_start; unknown today are of_old"
    assert (run.state, run.notes) == ("finished", [f"Another version made it: {run.version}."])


def test_a_run_of_another_version_speaks_for_its_experiment_only_where_no_other_does(tmp_path):
    made.run(tmp_path, run_id="20260102-120000-new", flags={"of_old": 1})
    [shelf] = [shelf for shelf in reading.read(tmp_path) if shelf.experiment == "kalman"]
    assert reading.newest_finished(shelf).directory.name == "20260102-120000-new"
    made.run(tmp_path)
    [shelf] = [shelf for shelf in reading.read(tmp_path) if shelf.experiment == "kalman"]
    assert reading.newest_finished(shelf).directory.name == "20260101-120000-quick"


def test_a_figure_that_is_gone_is_named_and_none_is_missed_of_a_run_that_named_none(tmp_path, figure):
    directory = made.run(tmp_path, figure=figure)
    (directory / "figures" / "errors.png").unlink()
    assert only_run(tmp_path).notes == ["figures/errors.png is gone."]
    summary = json.loads((directory / "summary.json").read_text())
    made.write(directory / "summary.json", {name: value for name, value in summary.items() if name != "figures"})
    assert only_run(tmp_path).notes == []


def test_sweeps_stand_apart_from_runs_finished_or_not(tmp_path, figure):
    directory = made.sweep(tmp_path, figure)
    shelf = next(shelf for shelf in reading.read(tmp_path) if shelf.experiment == "kalman")
    [sweep] = shelf.sweeps
    assert (shelf.runs, sweep.state, sweep.keys, len(sweep.points)) == ([], "finished", ["learning_rate", "steps"], 4)
    assert sweep.points[0].values == {"learning_rate": "0.1", "steps": "5"}
    assert [sweep.runs[point.name].config["steps"] for point in sweep.points] == [5, 6, 5, 6]
    (directory / "points" / "0.1-6" / "summary.json").unlink()
    (directory / "sweep.json").unlink()
    [unfinished] = next(shelf for shelf in reading.read(tmp_path) if shelf.experiment == "kalman").sweeps
    assert (unfinished.state, unfinished.keys) == ("unfinished", ["learning_rate", "steps"])
    assert [point.values for point in unfinished.points] == [
        {"learning_rate": rate, "steps": steps} for rate, steps in (("0.01", "5"), ("0.01", "6"), ("0.1", "5"))]


@pytest.mark.parametrize(("text", "count", "why"), [
    (json.dumps(made.CERTIFICATE), 3, ""), ("[{", 0, "cannot be read"), ("{}", 0, "holds no list"),
    ('[3, {"identity": 7}]', 1, ""), (None, 0, "make verify")])
def test_a_certificate_is_read_or_missed(tmp_path, text, count, why):
    if text is not None:
        (tmp_path / "certificate.json").write_text(text)
    verdicts, reason = reading.certificate(tmp_path)
    assert len(verdicts) == count
    assert why in reason and bool(why) == bool(reason)


def test_curves_keep_every_spike_when_they_are_thinned():
    lines = [{"stage": "learn", "step": step, "run": f"seed {k}", "loss": 1.0 + k + 50 * (step == 777) * (k == 1)}
             for step in range(5000) for k in range(2)]
    [family] = curves.families([*lines, {"stage": "learn"}, {"step": "x", "loss": 1}, {"step": 5, "run": 3}])
    steps, values, mean = curves.thinned(family, 200)
    assert values.shape == (2, 200) and steps[0] == 0 and steps[-1] == 4999
    assert values[1].max() == 52 and values[0].max() == 1 and mean.max() == 26.5
    assert (np.diff(steps) > 0).all()


def test_a_value_that_is_not_finite_breaks_the_line_and_is_never_drawn():
    lines = [{"stage": "learn", "step": step, "run": "seed 0", "loss": value}
             for step, value in enumerate([1.0, 2.0, None, float("inf"), 3.0, 100.0])]
    panel = curves.panel(*curves.families(lines), unit="nats", most=200)
    [path] = panel.seeds
    assert path.count("M") == 2 and "nan" not in path and "inf" not in path
    assert panel.logarithmic and [text for _, text in panel.y_ticks] == ["1", "10", "100"]
    assert "in nats: 1 at step 0, 100 at step 5; lowest 1 at step 0" in panel.words
    nothing = curves.panel(*curves.families([{"stage": "a", "step": 1, "run": "b", "loss": None}]), unit="", most=200)
    assert nothing.words == "loss: no finite value."
