"""The benchmarks' own commands, tiny: our half runs, its numbers are sane, the table shows them."""

import subprocess
import sys

import numpy as np
import pytest

from experiments.benchmarks import kalman, kalman_ours, tracks
from experiments.benchmarks import matrix_factorization as bench
from experiments.benchmarks.pairs import zipf_pairs

TINY = {"dataset": "embedded", "repeats": 1, "rank": 2, "sweeps": 2, "implicit_rank": 4, "implicit_sweeps": 2,
        "num_users": 60, "num_items": 40, "num_pairs": 500}


@pytest.mark.slow
def test_our_half_runs_without_the_peers(capsys):
    reports = bench.main(bench.Config(peers_python=None, **TINY))
    assert set(reports) == {"fit", "embedded", "generated"}
    assert 0 < reports["fit"]["ours"]["rmse"] < 2
    assert np.shape(reports["fit"]["ours"]["seconds"]) == (1, 5)
    assert len(reports["generated"]["ours"]["seconds"]) == 2
    assert reports["generated"]["ours"]["peak_bytes"] > 1e7
    printed = capsys.readouterr().out
    assert "seconds a sweep" in printed and "500 pairs" in printed


def test_tables_set_both_sides_against_each_other():
    side = {"rmse": 0.9, "seconds": [[1.0, 3.0], [3.0, 5.0]]}
    reports = {"ours": side | {"compile_seconds": 2.0}, "peers": side | {"rmse": 0.95}}
    table = bench.fit_table(reports, bench.Config())
    cells = [list(column.cells) for column in table.columns[1:]]
    assert cells == [["0.9000", "3.000", "8.000"], ["0.9500", "3.000", "6.000"], ["", "1.0 x", "0.8 x"]]


@pytest.mark.parametrize("name", ["matrix_factorization", "kalman"])
def test_a_misspelt_flag_is_refused(name):
    command = [sys.executable, "-m", f"experiments.benchmarks.{name}", "--sweps", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "sweps" in done.stdout + done.stderr


def test_generated_pairs_are_long_tailed_and_within_range():
    user, item = zipf_pairs(1000, 500, 20_000)
    assert user.dtype == item.dtype == np.int32 and len(user) == len(item) == 20_000
    assert user.max() < 1000 and item.min() >= 0 and item.max() < 500
    popularity = np.sort(np.bincount(item, minlength=500))[::-1]
    assert popularity[:50].sum() > 0.25 * len(item)
    assert np.array_equal(zipf_pairs(1000, 500, 20_000)[1], item)


@pytest.mark.slow
def test_our_filters_run_without_the_peers(capsys):
    config = kalman.Config(peers_python=None, problems=("linear",), num_steps=30, num_tracks=3, many_steps=5, repeats=1)
    report = kalman.main(config)["linear"]["ours"]
    assert set(report) == {*kalman.CASES, "peak_bytes"}
    for case in ("one_kernel", "square_root", "smoother", "parallel"):
        np.testing.assert_allclose(report[case]["log_likelihood"], report["filter"]["log_likelihood"], rtol=1e-9)
    printed = capsys.readouterr().out
    assert "3 tracks in one call" in printed and "log-likelihood" in printed


def test_both_forms_of_the_nonlinear_filter_agree(float64):
    report = kalman_ours.nonlinear(tracks.constant_turn(1, 30), cases=("filter", "square_root"), repeats=1)
    values = [report[case]["log_likelihood"] for case in ("filter", "square_root")]
    np.testing.assert_allclose(*values, rtol=1e-9)


def test_filter_table_counts_microseconds_a_step():
    side = {"filter": {"seconds": [1.0, 2.0, 9.0], "compile_seconds": 3.0, "log_likelihood": -8.0},
            "many": {"seconds": [4.0]}}
    others = {case: side["filter"] for case in kalman.CASES if case not in side}
    peer = {"filter": {"seconds": [20.0], "log_likelihood": -8.0008}}
    config = kalman.Config(num_steps=10**6, num_tracks=10**4, many_steps=10**3)
    table = kalman.table({"ours": side | others, "filterpy": peer}, "linear", config)
    cells = [list(column.cells) for column in table.columns[1:]]
    assert [column[0] for column in cells] == ["2.000", "20.000", "10.0 x"]
    assert [column[-4] for column in cells] == ["0.400", "-", ""]
    assert [column[-3] for column in cells] == ["5.0 x", "-", ""]
    assert [column[-1] for column in cells] == ["-8.0000", "-8.0008", "1e-04 apart"]


def test_simulated_tracks_follow_their_own_equations():
    problem = tracks.constant_velocity(num_tracks=4000, num_steps=3)
    F, H, P = (problem[name] for name in ("F", "H", "covariance"))
    for k in range(3):
        measured = problem["measurement"][:, k]
        mean = H @ np.linalg.matrix_power(F, k) @ problem["mean"]
        np.testing.assert_allclose(measured.mean(axis=0), mean, atol=0.1)
        np.testing.assert_allclose(np.cov(measured.T), H @ P @ H.T + problem["R"], atol=0.1)
        P = F @ P @ F.T + problem["Q"]


def test_an_object_driven_around_the_radar_is_refused(monkeypatch):
    monkeypatch.setattr(tracks, "_simulate", lambda *_: np.full((1, 2, 3), 3.1))
    with pytest.raises(ValueError, match="its bearings jump"):
        tracks.constant_turn(1, 2)
