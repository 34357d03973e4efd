"""The benchmark of score matching, tiny: our half runs, its numbers are sane, the tables show them."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from experiments.benchmarks import score_matching as bench
from experiments.benchmarks import score_matching_ours as ours


def test_a_misspelt_flag_is_refused():
    command = [sys.executable, "-m", "experiments.benchmarks", "score_matching", "--sweps", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "sweps" in done.stdout + done.stderr


@pytest.mark.slow
def test_our_half_runs_without_the_peers(capsys):
    config = bench.Config(peers_python=None, datasets=("mixture",), seeds=2, width=4, layers=1, batch_size=8,
                          chunk_steps=2, chunks=2, turns=1, points=20, evaluations=5, dimensions=(2, 3))
    reports = bench.main(config)
    report = reports["mixture"]
    assert report["oracle"] is None and report["built"]["recipe"]["width"] == 4
    assert {name: side["seeds"] for name, side in report["learning"].items()} == {"here, 1 seed on 1": 1,
                                                                                    "here, 2 seeds on 2": 2}
    assert list(report["sampling"]) == ["here"]
    for side in (*report["learning"].values(), *report["sampling"].values()):
        assert np.shape(side["seconds"]) == (1, 2) and np.min(side["seconds"]) > 0
    assert np.shape(reports["traces"]["implicit"]) == np.shape(reports["traces"]["sliced"]) == (2, 2)
    printed = capsys.readouterr().out
    assert "training steps a second" in printed and "20 samples" in printed and "a gradient of each loss" in printed


@pytest.mark.parametrize("dataset", ["mixture", pytest.param("digits", marks=pytest.mark.slow)])
def test_scores_to_agree_on_are_in_double_precision(tmp_path, dataset):
    target = tmp_path / "out.npz"
    built = ours.reference({}, flags={"dataset": dataset, "width": 4, "layers": 1, "channels": 2}, rows=3,
                           evaluations=5, target=target)
    shape = {"mixture": (2,), "digits": (8, 8, 1)}[dataset]
    assert built["shape"] == shape and built["runs"] == {"mixture": "vmap", "digits": "map"}[dataset]
    with np.load(target) as written:
        arrays = {name: array for name, array in written.items() if not name.startswith(("data.", "labels"))}
        assert ("labels" in written) == (dataset == "digits") == ("data.images" in written)
    assert all(array.dtype == np.float64 for array in arrays.values())
    assert arrays["x"].shape == arrays["noise"].shape == arrays["samples"].shape == (3, *shape)
    assert len(arrays["sampler.levels"]) == 4 and arrays["sampler.levels"][-1] == 0
    params, gradients = ({name.removeprefix(kind): array for name, array in arrays.items() if name.startswith(kind)}
                         for kind in ("params.", "gradients."))
    assert {name: array.shape for name, array in params.items()} == {
        name: array.shape for name, array in gradients.items()}
    assert sum(array.size for array in params.values()) == built["parameters"]
    assert all(np.any(np.abs(array) > 1e-9) for array in gradients.values())
    assert all(np.all(np.isfinite(array)) for array in arrays.values())


def test_samples_written_are_those_of_their_levels(tmp_path):
    """Heun's method by hand, of the score that the file's parameters make."""
    import jax

    flags, target = {"dataset": "mixture", "width": 4, "layers": 1}, tmp_path / "out.npz"
    ours.reference({}, flags=flags, rows=2, evaluations=5, target=target)
    with np.load(target) as written:
        arrays = dict(written)
    params = {"params": {}}
    for name, array in arrays.items():
        if name.startswith("params."):
            _, layer, leaf = name.split(".")
            params["params"].setdefault(layer, {})[leaf] = array
    diffuser = ours._subject(flags)[2].diffuser
    with jax.enable_x64(True):
        score_fn = jax.jit(diffuser.score_fn)
        x, levels = arrays["start"], arrays["sampler.levels"]
        for level, below in pairwise(levels):
            slope = -level * score_fn(params, x, np.full(2, level))
            ahead = x + (below - level) * slope
            if below:
                slope = (slope - below * score_fn(params, ahead, np.full(2, below))) / 2
            x = np.asarray(x + (below - level) * slope)
    np.testing.assert_allclose(x, arrays["samples"], rtol=1e-10, atol=1e-12)


def test_a_ratio_is_of_one_turn():
    sides = {"here": {"seconds": [[1.0, 9.0, 1.0], [2.0], [1.0]]},
             "PyTorch, eager, 1 threads": {"seconds": [[2.0], [8.0], [4.0]]},
             "PyTorch, eager, 2 threads": {"seconds": [[3.0], [6.0], [5.0]]},
             "PyTorch, compiled, 1 threads": {"seconds": [[1.0], [7.0], [8.0]]}}
    rate, eager, fastest = bench.ratios(sides)["here"]
    assert (rate, eager, fastest) == (1.0, 3.0, 3.0)  # 2/1, 6/2, 4/1; and 1/1, 6/2, 4/1
    assert bench.ratios({"here": sides["here"]})["here"] == (1.0, None, None)


def test_tables_set_our_sides_against_the_fastest_peers():
    sides = {"here, 1 seed": (1, 0.1), "here, 3 seeds": (3, 0.2), "PyTorch, eager, 1 threads": (1, 0.2),
             "PyTorch, compiled, 1 threads": (1, 0.1)}
    learning = {name: {"seeds": seeds, "seconds": [[0.001, seconds, 9.0]], "compile_seconds": 2.0,
                       ("torch" if "PyTorch" in name else "jax"): "0.1"} for name, (seeds, seconds) in sides.items()}
    report = {"dataset": "mixture", "num": 10_000, "evaluations": 35, "learning": learning, "sampling": learning,
              "oracle": {"loss": 1e-16, "gradients": 2e-15, "samples": 3e-14},
              "built": {"recipe": {"batch_size": 512}, "parameters": 55_810}}
    table = bench.learning_table(report)
    rows = list(zip(*(column.cells for column in table.columns)))
    assert rows[1] == ("here, 3 seeds", "15.0", "3.00 x", "1.50 x", "2.0")
    assert rows[2][1:5] == ("5.0", "1.00 x", "0.50 x", "-") and rows[-1][1] == "3e-14 apart"
    assert "55,810 parameters, 512 rows, jax 0.1, torch 0.1" in str(table.title)
    table = bench.sampling_table(report)
    assert next(iter(table.columns[1].cells)) == "0.100" and "10,000 samples" in str(table.title)


def test_table_of_traces_tells_how_each_loss_grows():
    report = {"implicit": [[0.01, 0.02], [0.4, 0.4]], "sliced": [[0.001, 0.001], [0.002, 0.004]], "width": 256,
              "rows": 64, "jax": "0.1"}
    rows = list(zip(*(column.cells for column in bench.traces_table(report, (8, 64)).columns)))
    assert rows == [("8", "15.00", "1.00", "15.0 x", "1.0 x", "1.0 x", "1.0 x"),
                    ("64", "400.00", "3.00", "150.0 x", "8.0 x", "26.7 x", "3.0 x")]


def test_scores_that_differ_are_not_compared():
    bench.require_agreement(None)
    agreeing = {"loss": 1e-16, "gradients": 1e-14, "samples": 1e-13, "peak_bytes": 10**9}
    bench.require_agreement(agreeing)
    with pytest.raises(ValueError, match="in loss, gradients, samples they are up to 2e-06 apart"):
        bench.require_agreement(agreeing | {"gradients": 2e-6})
    with pytest.raises(ValueError, match="nan apart"):
        bench.require_agreement(agreeing | {"samples": float("nan")})
