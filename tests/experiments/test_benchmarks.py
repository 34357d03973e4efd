"""The benchmark's own command, tiny: our half runs, its numbers are sane, the table shows them."""

import subprocess
import sys

import numpy as np
import pytest

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


def test_a_misspelt_flag_is_refused():
    command = [sys.executable, "-m", "experiments.benchmarks.matrix_factorization", "--sweps", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "sweps" in done.stdout + done.stderr


def test_generated_pairs_are_long_tailed_and_within_range():
    user, item = zipf_pairs(1000, 500, 20_000)
    assert user.dtype == item.dtype == np.int32 and len(user) == len(item) == 20_000
    assert user.max() < 1000 and item.min() >= 0 and item.max() < 500
    popularity = np.sort(np.bincount(item, minlength=500))[::-1]
    assert popularity[:50].sum() > 0.25 * len(item)
    assert np.array_equal(zipf_pairs(1000, 500, 20_000)[1], item)
