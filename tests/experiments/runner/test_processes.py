"""Several real processes at one run: the same numbers, one who speaks, and a clear end where one is wrong or lost."""

import contextlib
import itertools
import json
import shutil
import signal
import socket
import time

import chex
import jax
import numpy as np
import pytest

from experiments.runner import checkpoints
from tests.experiments import command

pytestmark = pytest.mark.slow

TINY = ("tiny", "--num-steps", 100)
SMALL_ATTENTION = ("attention", "--steps", 8, "--batch-size", 4, "--context", 8, "--layers", 1, "--width", 8, "--heads",
                   1, "--sample-tokens", 2)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def job(*flags, cwd, processes=2, each=(), roots=(), **options):
    """The processes of a job, started and, whatever happens, ended. each: more flags, of every process its own."""
    port = free_port()
    started = [command.start(*flags, *own, "--distributed", "--coordinator", f"127.0.0.1:{port}", "--num-processes",
                             processes, "--process-id", number, cwd=cwd, root=root or command.ROOT, **options)
               for number, own, root in itertools.islice(
                   zip(itertools.count(), itertools.chain(each, itertools.repeat(())),
                       itertools.chain(roots, itertools.repeat(None))), processes)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def outcomes(started, seconds=100):
    """(exit status, standard output, standard error) of every process; all have to end in time."""
    until = time.monotonic() + seconds
    ended = []
    for process in started:
        out, err = process.communicate(timeout=max(0.1, until - time.monotonic()))
        ended.append((process.returncode, out.replace("[Gloo]", ""), err))
    return ended


def run(*flags, **options):
    with job(*flags, keep_compiled=True, **options) as started:
        return outcomes(started)


def losses(directory):
    return [line["loss"] for line in map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())]


def last_state(directory, stage="second"):
    tree, record = checkpoints.load(checkpoints.step_path(directory, stage, checkpoints.steps(directory, stage)[-1]))
    return record["step"], jax.tree.map(np.asarray, {"params": tree["params"], "opt_state": tree["opt_state"]})


def wait_for_checkpoint(directory, started, after=0):
    while checkpoints.steps(directory, "first")[-1:] <= [after]:
        assert all(process.poll() is None for process in started)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process."""
    cwd = tmp_path_factory.mktemp("alone")
    code, _, err = command.run(*TINY, "--out", "run", cwd=cwd)
    assert code == 0, err
    return cwd / "run"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same run of two processes, and what they said."""
    cwd = tmp_path_factory.mktemp("pair")
    ended = run(*TINY, "--out", "run", cwd=cwd)
    assert [code for code, _, _ in ended] == [0, 0], ended
    return cwd / "run", ended


def test_two_processes_learn_what_one_does_and_one_speaks(alone, pair):
    directory, ended = pair
    np.testing.assert_allclose(losses(directory), losses(alone), rtol=1e-5)
    assert "on 2 x cpu (cpu) of 2 processes" in ended[0][1] and "figures/nothing.png" in ended[0][1]
    assert "figures" not in ended[1][1] and "tiny" not in ended[1][1]
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["devices"]["count"] == 2
    assert json.loads((directory / "config.json").read_text())["mesh"] == "data=2"
    assert len(list(directory.glob("checkpoints/second/*/state/state/ocdbt.process_*"))) == 2, "each writes its part"


def test_so_do_four(alone, tmp_path):
    ended = run(*TINY, "--mesh", "data=4", "--out", "run", processes=4, cwd=tmp_path)
    assert [code for code, _, _ in ended] == [0] * 4, ended
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(alone), rtol=1e-5)


def test_a_language_model_learns_the_same_in_two_processes(tmp_path):
    assert command.run(*SMALL_ATTENTION, "--out", "alone", cwd=tmp_path)[0] == 0
    ended = run(*SMALL_ATTENTION, "--out", "run", cwd=tmp_path)
    assert [code for code, _, _ in ended] == [0, 0], ended
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "alone"), rtol=1e-5)
    learned = [checkpoints.load(tmp_path / directory / "learned")[0] for directory in ("run", "alone")]
    chex.assert_trees_all_equal_shapes_and_dtypes(*learned)
    chex.assert_trees_all_close(*learned, atol=1e-4)


def test_a_lost_process_ends_the_job_and_it_goes_on_to_the_same_bits(alone, pair, tmp_path):
    out, where, saved = tmp_path / "run", (*TINY, "--out", "run"), 0
    for victim in (1, 0):
        with job(*where, "--checkpoint-seconds", 0, cwd=tmp_path) as started:
            wait_for_checkpoint(out, started, after=saved)
            started[victim].kill()
            began = time.monotonic()
            code, _, err = outcomes(started, seconds=60)[1 - victim]
            assert code != 0 and time.monotonic() - began < 60
            assert f"error: process {1 - victim} of 2 is lost" in err and "again with --resume run" in err
            assert "Traceback" not in err
        assert not (out / "summary.json").exists()
        where, saved = ("tiny", "--resume", "run"), checkpoints.steps(out, "first")[-1]
    shutil.copytree(out, tmp_path / "narrow")

    ended = run("tiny", "--resume", "run", "--checkpoint-seconds", 60, cwd=tmp_path)
    assert [code for code, _, _ in ended] == [0, 0], ended
    step, state = last_state(out)
    expected_step, expected = last_state(pair[0])
    assert step == expected_step
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    assert losses(out) == losses(pair[0])

    code, told, err = command.run("tiny", "--resume", "narrow", "--mesh", "data=1", cwd=tmp_path)
    assert code == 0, err
    assert "The mesh was data=2, and is data=1" in told
    np.testing.assert_allclose(losses(tmp_path / "narrow"), losses(alone), rtol=1e-5)


def test_a_signal_to_any_stops_all_when_they_have_saved(tmp_path):
    with job("tiny", "--num-steps", 400_000, "--out", "run", cwd=tmp_path) as started:
        log = tmp_path / "run" / "metrics.jsonl"
        while not log.exists() or log.stat().st_size < 1000:
            assert all(process.poll() is None for process in started)
            time.sleep(0.05)
        started[1].send_signal(signal.SIGTERM)
        (first, _, said), (second, _, unsaid) = outcomes(started)
    assert first == second == 128 + signal.SIGTERM
    assert "error: Stopped in first at step" in said and "--resume run" in said and "error" not in unsaid
    assert checkpoints.steps(tmp_path / "run", "first")


def test_other_flags_or_code_are_refused(tmp_path):
    (first, _, said), (second, _, unsaid) = run("tiny", each=[("--num-steps", 8), ("--num-steps", 12)], cwd=tmp_path)
    assert first == second == 2
    assert "process 1 has --num-steps 12, process 0 has 8: start all processes of a job with the same" in said
    assert "error" not in unsaid

    for package in ("experiments", "sandbox"):
        shutil.copytree(command.ROOT / package, tmp_path / "other" / package)
    with open(tmp_path / "other" / "sandbox" / "training.py", "a") as file:
        file.write("\n# another line\n")
    (first, _, said), (second, _, _) = run("tiny", cwd=tmp_path, roots=[None, tmp_path / "other"])
    assert first == second == 2
    assert "process 1 has code of fingerprint" in said and "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def test_what_one_process_refuses_ends_all(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "taken").touch()
    (first, _, said), (second, _, unsaid) = run("tiny", "--out", "run", cwd=tmp_path)
    assert first == second == 2
    assert "--out run has something in it" in said
    assert "stopped: process 0 of the job was refused, and says why" in unsaid and "something in it" not in unsaid


def test_who_cannot_be_reached_is_named_after_the_stated_wait(tmp_path):
    flags = ("--distributed", "--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", 2, "--join-seconds", 1)
    code, _, err = command.run("tiny", *flags, "--process-id", 1, cwd=tmp_path)
    assert code == 2 and "Traceback" not in err
    assert f"no job to join at {flags[2]}" in err and "refused" in err and "within --join-seconds 1" in err
    code, _, err = command.run("tiny", *flags, "--process-id", 0, cwd=tmp_path)
    assert code != 0
    assert err.splitlines()[-1].startswith(
        f"error: --distributed: the job's processes did not all meet at {flags[2]} within 1 s")


def test_half_an_address_is_refused(tmp_path):
    at, two = ("--distributed", "--coordinator"), ("--num-processes", 2, "--process-id")
    for flags, words in (([*at, "a:1"], "must be given all three, with --distributed"),
                         (["--coordinator", "a:1", *two, 0], "must be given all three, with --distributed"),
                         ([*at, "a", *two, 0], "--coordinator must be HOST:PORT, got a"),
                         ([*at, "a:1", *two, 2], "--process-id must be 0 to 1, got 2")):
        code, _, err = command.call("kalman", *flags, cwd=tmp_path)
        assert code == 2 and words in err, err
