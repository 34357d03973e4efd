"""The command line as a user meets it: real processes of the smallest experiment there can be."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

import experiments
from experiments.runner import checkpoints, cli
from tests.experiments import command

pytestmark = pytest.mark.slow


def refused(outcome, *words, status=2):
    code, _, err = outcome
    assert code == status, err
    assert "Traceback" not in err
    for word in words:
        assert word in err


def digests(directory):
    """What the final checkpoints of a run hold, to the bit: the digest of the arrays of each stage."""
    found = {}
    for stage in ("first", "second"):
        step = checkpoints.steps(directory, stage)[-1]
        tree, record = checkpoints.load(checkpoints.step_path(directory, stage, step))
        found[stage] = (record["step"], json.dumps({k: str(v.tolist()) for k, v in flat(tree).items()}))
    return found


def flat(tree, path=""):
    leaves = {}
    for name, value in tree.items():
        leaves.update(flat(value, f"{path}/{name}") if isinstance(value, dict) else {f"{path}/{name}": value})
    return {name: value for name, value in leaves.items() if not name.endswith("key")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with one finished run in runs/tiny, and what it printed."""
    cwd = tmp_path_factory.mktemp("finished")
    outcome = command.run("tiny", "--seeds", 2, cwd=cwd)
    assert outcome[0] == 0, outcome[2]
    return cwd, outcome[1]


def test_a_run_leaves_what_was_promised(finished):
    cwd, out = finished
    directory = cwd / "runs" / "tiny" / "latest"
    assert {path.name for path in directory.iterdir()} >= {
        "config.json", "manifest.json", "metrics.jsonl", "summary.json", "figures", "checkpoints"}
    assert (directory / "figures" / "nothing.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["seeds"] == [0, 1] and len(summary["metrics"]["error"]["per_seed"]) == 2
    seconds = summary["seconds"]
    assert seconds["total"] >= seconds["compile"] + seconds["run"] - 0.01
    assert seconds["first"] + seconds["second"] == pytest.approx(seconds["compile"] + seconds["run"], abs=0.01)
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"], line["run"]) for line in lines[:3]] == [
        ("first", 4, "seed 0"), ("first", 4, "seed 1"), ("first", 8, "seed 0")]
    assert len(lines) == 2 * 2 * 10
    assert "a guess" in out and "compiling" in out and "figures/nothing.png" in out


def test_the_same_seed_gives_the_same_bits_and_another_does_not(finished):
    cwd, _ = finished
    for seed in (0, 5):
        assert command.run("tiny", "--seeds", 2, "--seed", seed, "--out", f"seed{seed}", cwd=cwd)[0] == 0
    first = digests(cwd / "runs" / "tiny" / "latest")
    assert digests(cwd / "seed0") == first
    assert digests(cwd / "seed5") != first


def test_a_killed_run_goes_on_to_the_same_bits(finished, tmp_path):
    """At least ten SIGKILLs at random moments, from the first import to the last write."""
    cwd, _ = finished
    flags, kills, took = ("tiny", "--seeds", 2, "--checkpoint-seconds", 0), 0, 6.0
    out = tmp_path / "run"
    dice = random.Random(0)
    for attempt in range(60):
        where = ("--resume", out) if out.exists() else ("--out", out)
        process = command.start(*flags, *where, cwd=tmp_path)
        began = time.monotonic()
        try:
            _, err = process.communicate(timeout=dice.uniform(0.2, 1.1) * took if kills < 10 else 300)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            if not (out / "summary.json").exists():
                continue
        else:
            assert process.returncode == 0, f"attempt {attempt}: {err}"
            took = time.monotonic() - began
        if kills >= 10:
            break
        out = tmp_path / f"run{attempt}"  # finished before it was killed often enough: another one, from the start
    assert kills >= 10 and (out / "summary.json").exists()
    assert digests(out) == digests(cwd / "runs" / "tiny" / "latest")
    lines = (out / "metrics.jsonl").read_text().splitlines()
    steps = [(json.loads(line)["stage"], json.loads(line)["step"], json.loads(line)["run"]) for line in lines]
    assert len(steps) == len(set(steps)) == 40, "no line is lost or repeated"
    assert not list(out.rglob(".*.tmp"))


def test_sigterm_saves_and_says_how_to_go_on(tmp_path):
    process = command.start("tiny", "--seeds", 2, "--num-steps", 400_000, "--out", "run", cwd=tmp_path)
    log = tmp_path / "run" / "metrics.jsonl"
    while not log.exists() or log.stat().st_size < 1000:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    refused((process.returncode, "", err), "Stopped in first at step", "--resume run", status=128 + signal.SIGTERM)
    refused(command.run("tiny", "--resume", "run", "--num-steps", 20, cwd=tmp_path),
            "made with other flags: --num-steps was 400000, now 20")
    step = checkpoints.steps(tmp_path / "run", "first")[-1]
    newest = checkpoints.step_path(tmp_path / "run", "first", step)
    (newest / "record.json").write_text("{}")
    refused(command.run("tiny", "--resume", "run", cwd=tmp_path), "is damaged", "delete or move away")


def test_what_cannot_be_resumed_is_refused(finished):
    cwd, _ = finished
    refused(command.run("tiny", "--resume", cwd=cwd), "no unfinished run under runs/tiny")
    refused(command.run("tiny", "--resume", "nowhere", cwd=cwd), "nowhere is not a run directory")
    refused(command.run("tiny", "--out", "runs/tiny/latest", cwd=cwd), "has something in it")
    refused(command.run("matrix_factorization", "--resume", "runs/tiny/latest", cwd=cwd),
            "is a run of tiny, not of matrix_factorization")


def test_a_finished_run_that_is_resumed_shows_itself_again(finished):
    cwd, out = finished
    newest = (cwd / "runs" / "tiny" / "latest").resolve()
    (cwd / "runs" / "tiny" / "latest").unlink()  # as if killed after the summary and before the pointer
    for name in (newest.name, "latest", newest):
        code, again, err = command.run("tiny", "--resume", Path("runs/tiny") / name, cwd=cwd)
        assert code == 0, err
        assert again.split("error")[1].splitlines()[0] == out.split("error")[1].splitlines()[0]
        assert (cwd / "runs" / "tiny" / "latest").resolve() == newest


def test_resume_without_a_value_finds_the_newest_unfinished_run(tmp_path):
    process = command.start("tiny", "--num-steps", 4000, "--checkpoint-seconds", 0, cwd=tmp_path)
    while not list(tmp_path.glob("runs/tiny/*/checkpoints/first/0*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    code, out, err = command.run("tiny", "--resume", "--checkpoint-seconds", 60, cwd=tmp_path)
    assert code == 0, err
    assert "going on with runs/tiny/" in out and "4000" not in err


def test_a_seed_that_turns_nonfinite_is_named_and_the_others_go_on(tmp_path):
    code, out, _ = command.run("tiny", "--seeds", 3, "--nan-seed", 1, "--out", "run", cwd=tmp_path)
    assert code == 1
    assert "first, seed 1: .params['w'] is not finite at step 13. It stands still at step 12" in out.replace(
        ".opt_state[0].mu['w']", ".params['w']")
    assert "NOT FINITE: first, seed 1" in out
    alone = command.run("tiny", "--seeds", 1, "--seed", 2, "--out", "alone", cwd=tmp_path)
    assert alone[0] == 0
    errors = [json.loads((tmp_path / name / "summary.json").read_text())["metrics"]["error"]["per_seed"]
              for name in ("run", "alone")]
    assert errors[0][2] == pytest.approx(errors[1][0], rel=1e-5)
    assert errors[0][1] is not None


def test_wrong_words_are_refused_with_the_right_ones(tmp_path):
    refused(command.run("nope", cwd=tmp_path), "no experiment 'nope'", "reinforce, score_matching, tiny")
    refused(command.run("tiny", "--preset", "huge", cwd=tmp_path), "--preset must be one of quick, full, got 'huge'")
    refused(command.run("tiny", "--num-step", "3", cwd=tmp_path), "--num-steps")
    refused(command.run("tiny", "--num-steps", "0", cwd=tmp_path), "--num-steps must be at least 1, got 0")
    refused(command.run("tiny", "--seeds", "0", cwd=tmp_path), "--seeds must be at least 1, got 0")
    refused(command.run("tiny", "--mesh", "data", cwd=tmp_path), "--mesh must read like data=4")
    refused(command.run("tiny", "--mesh", "data=0", cwd=tmp_path), "--mesh: a mesh needs axes of size 1 or more")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs" / "tiny").glob("*/summary.json"))


def test_all_runs_every_experiment_and_ends_with_one_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(Path(command.__file__).parent / "extra")])
    monkeypatch.setattr(experiments, "names", lambda: ("tiny",))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--all", "--num-steps", "4"]) == 0
    out = capsys.readouterr().out
    assert "│ error  │" in out and "figures/nothing.png" in out and out.count("a guess") == 1


def test_help_tells_every_flag(tmp_path):
    code, out, _ = command.run("tiny", "--help", cwd=tmp_path)
    assert code == 0
    for flag in ("--preset", "--dataset", "--data-dir", "--seed", "--seeds", "--out", "--resume", "--mesh",
                 "--distributed", "--profile", "--debug-nans", "--checkpoint-seconds", "--track", "--sweep",
                 "--num-steps"):
        assert flag in out


def test_mesh_and_profile_are_heeded(tmp_path):
    code, out, err = command.run("tiny", "--mesh", "data=2", "--profile", "--out", "run", cwd=tmp_path)
    assert code == 0, err
    assert "on 2 x cpu" in out
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))


def test_debug_nans_stops_at_the_operation(tmp_path):
    code, _, err = command.run("tiny", "--nan-seed", 0, "--debug-nans", cwd=tmp_path)
    assert code != 0 and "nan" in err.lower()


def test_a_disk_that_takes_no_more_is_one_line(tmp_path):
    outcome = command.run("tiny", "--num-steps", 400, "--out", "run", cwd=tmp_path, limit="ulimit -f 4")
    refused(outcome, "cannot write the run: File too large", status=74)
    assert len(outcome[2].strip().splitlines()) == 1
    code, _, err = command.run("tiny", "--resume", "run", cwd=tmp_path)
    assert code == 0, err


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    outcome = command.run("tiny", "--out", "file/run", cwd=tmp_path)
    refused(outcome, "cannot write the run", status=74)
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        refused(command.run("tiny", "--out", "locked/run", cwd=tmp_path), "cannot write the run", status=74)


def test_two_processes_cannot_write_to_one_run(tmp_path):
    process = command.start("tiny", "--num-steps", 400_000, "--out", "run", cwd=tmp_path)
    while not (tmp_path / "run" / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    refused(command.run("tiny", "--resume", "run", cwd=tmp_path), "another process is at work on run")
    process.kill()
    process.communicate()


def test_a_run_is_brought_back(finished, monkeypatch):
    cwd, out = finished
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(Path(command.__file__).parent / "extra")])
    result = experiments.load(cwd / "runs" / "tiny" / "latest")
    assert result.model.shape == (2, 4)
    assert result.summary["metrics"]["error"]["mean"] == pytest.approx(
        float(out.split("error")[1].split("│")[1].split("±")[0]), abs=1e-4)
    assert result.figures["nothing"].exists()
