"""The benchmarks' own commands, tiny: our half runs, its numbers are sane, the table shows them."""

import runpy
import sys

import numpy as np
import pytest

from experiments.benchmarks import (
    attention,
    attention_ours,
    convolution,
    convolution_ours,
    gan,
    gan_ours,
    kalman,
    kalman_ours,
    reinforce,
    tracks,
)
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


@pytest.mark.parametrize("name", ["matrix_factorization", "kalman", "attention", "convolution", "reinforce", "gan"])
@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")  # it is, for this test runs it twice
def test_a_misspelt_flag_is_refused(name, monkeypatch, capsys):
    """Within this process, which has imported everything; test_benchmark_score_matching.py starts a real one."""
    monkeypatch.setattr(sys, "argv", [name, "--sweps", "3"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module(f"experiments.benchmarks.{name}", run_name="__main__")
    assert left.value.code == 2 and "sweps" in "".join(capsys.readouterr())


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


@pytest.mark.slow
def test_our_attention_and_transformer_run_without_the_peers(capsys):
    config = attention.Config(
        peers_python=None, dataset="embedded", lengths=(16, 32), timed_length=16, timed_heads=2, head_size=4, repeats=1,
        layers=1, width=8, model_heads=2, context=8, batch_size=2, chunk_steps=2, chunks=1, turns=2, generated=4)
    reports = attention.main(config)
    assert all(len(reports["memory"][case]) == 2 for case in attention.MEMORY)
    times = [case for case in reports["time"].values() if isinstance(case, dict)]
    assert len(times) == 4 and all(case["apart"] < 1e-5 for case in times)
    assert reports["oracle"] is None and len(reports["train"]["ours"]["seconds"]) == 2
    assert 0 < reports["train"]["ours"]["loss"] < 10
    printed = capsys.readouterr().out
    assert "Hessian-vector product" in printed and "jax.nn" in printed and "tokens a second" in printed


def test_what_another_implementation_has_to_reproduce_is_in_double_precision_and_nowhere_zero(tmp_path):
    sizes = {"num_tokens": 5, "num_layers": 1, "width": 8, "num_heads": 2}
    attention_ours.reference({"tokens": np.arange(40) % 5}, sizes=sizes, rows=2, context=4, target=tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        assert written["logits"].shape == (2, 4, 5) and written["params.blocks_0.up.kernel"].shape == (8, 32)
        arrays = [written[name] for name in written if name not in ("inputs", "targets")]
        params = [name.removeprefix("params.") for name in written if name.startswith("params.")]
        gradients = [name.removeprefix("gradients.") for name in written if name.startswith("gradients.")]
    assert params == gradients
    assert all(array.dtype == np.float64 and np.any(array != 0) for array in arrays)


def test_training_table_takes_the_faster_mode_of_the_peer():
    side = {"compile_seconds": 2.0, "loss": 2.5, "parameters": 1000}
    train = {"ours": side | {"seconds": [0.1, 0.2, 0.9]}, "eager": side | {"seconds": [0.4]},
             "compiled": side | {"seconds": [0.3]}}
    oracle = {"logits": 1e-15, "loss": 2e-16, "gradients": 3e-15, "peak_bytes": 5}
    reports = {"train": train, "oracle": oracle, "generate": {"seconds": [0.5]}}
    table = attention.train_table(reports, attention.Config())
    assert table.columns[2].header == "PyTorch, compiled"
    cells = [list(column.cells) for column in table.columns]
    assert [column[0] for column in cells[1:]] == ["200.00", "300.00", "1.5 x"]
    assert [column[1] for column in cells[1:]] == ["3,840", "2,560", ""]
    assert cells[0][3] == "ms a step, eager" and cells[2][3] == "400.00"
    assert cells[3][5:8] == ["1e-15 apart", "2e-16 apart", "3e-15 apart"] and cells[1][-1] == "2,000"


def test_attention_tables_show_growth_and_ratio():
    report = {"gradient": [2**20, 2**21], "hessian": [2**21, 2**22], "dense": [2**25, 2**27]}
    cells = [list(column.cells) for column in attention.memory_table(report, attention.Config()).columns]
    assert cells[1] == ["1.0", "2.0", "32.0", "32 x"] and cells[3] == ["2.00 x", "2.00 x", "4.00 x", ""]
    side = {"compile_seconds": 1.0}
    case = {"ours": side | {"seconds": [0.1]}, "jax.nn": side | {"seconds": [0.2]}, "apart": 1e-6}
    table = attention.time_table({"forward, causal": case, "peak_bytes": 1}, attention.Config())
    assert [next(iter(column.cells)) for column in table.columns[1:4]] == ["100.0", "200.0", "2.0 x"]


def test_models_that_differ_are_not_compared():
    attention.require_agreement(None)
    attention.require_agreement({"logits": 1e-15, "loss": 1e-16, "gradients": 1e-14, "peak_bytes": 10**9})
    with pytest.raises(ValueError, match="must agree to 1e-10, but are 2e-06 apart"):
        attention.require_agreement({"logits": 1e-15, "loss": 1e-16, "gradients": 2e-6})


@pytest.mark.slow
def test_our_layers_and_network_run_without_the_peers(capsys):
    config = convolution.Config(peers_python=None, layers=((2, 5, 3),), seeds=2, steps=2, repeats=1, preset="quick",
                                image_size=8, batches=1, chunk_steps=2, chunks=2, turns=1)
    reports = convolution.main(config)
    layer, = reports["layers"]["layers"]
    assert layer["apart"] < 1e-5
    for inside, ways in ((name, layer[case]) for case, name in convolution.SCANNED.items()):
        assert inside in ways and all(0 < min(way["seconds"]) for way in ways.values())
    assert len(layer["one"]["product"]["seconds"]) == 1
    assert reports["oracle"] is None and reports["convolutions"] is None
    assert len(reports["train"]["ours"]["seconds"]) == 2 and 0 < reports["train"]["ours"]["loss"] < 20
    printed = capsys.readouterr().out
    assert "2, 5, 3" in printed and "the same of 2 seeds" in printed and "images a second" in printed


def test_a_way_that_is_far_slower_is_not_measured_again():
    def taking(*seconds):
        return 1.0, iter(seconds).__next__

    ways = {"fast": taking(1.0, 2.0, 2.0, 2.0), "slow": taking(9.0, 8.0), "late": taking(9.0, 1.0, 1.0, 1.0),
            "product": taking(*[99.0] * 4)}
    report = convolution_ours._in_rounds(ways, 3)
    times = {name: len(way["seconds"]) for name, way in report.items()}
    assert times == {"fast": 3, "slow": 1, "late": 3, "product": 3}


def test_convolutions_to_agree_on_are_written_in_double_precision(tmp_path):
    rng, target = np.random.default_rng(0), tmp_path / "out.npz"
    case = convolution.drawn_case(rng, "depthwise")
    assert case["how"]["groups"] == 4 and case["w"][-2:] == [1, 8]
    convolution_ours.convolutions({}, cases=[case], target=target)
    with np.load(target) as written:
        assert {name: array.dtype for name, array in written.items()} == {
            name: np.float64 for name in ("0.x", "0.w", "0.dy", "0.y", "0.dx", "0.dw", *(
                f"{kind}.{part}" for kind in ("average", "max") for part in ("x", "dy", "y", "dx")))}
        for name, of in (("dx", "x"), ("dw", "w"), ("dy", "y")):
            assert written[f"0.{name}"].shape == written[f"0.{of}"].shape


def test_layer_tables_set_the_loop_against_the_fastest_way_outside():
    seconds = {"jax.lax": 0.02, "here": 0.04, "jax.lax in scan": 0.5, "here in scan": 0.025,
               "product": convolution.PRODUCT_FLOPS / 1e11}
    many = {"jax.lax, vmap": 0.4, "here, in turn": 0.1, "here, vmap in scan": 0.12}
    one, many = ({name: {"seconds": [0.001, value, 9.0]} for name, value in ways.items()} for ways in (seconds, many))
    report = {"jax": "0.0.1", "layers": [{"apart": 1e-7, "one": one, "many": many}]}
    config = convolution.Config(layers=((128, 28, 16),))
    row = [next(iter(column.cells)) for column in convolution.layers_table(report, config).columns]
    flops = 3 * 2 * 128 * 28**2 * 9 * 16**2
    assert row == ["128, 28, 16", "20.0", "40.0", "500.0", "25.00 x", "25.0", "1.25 x", f"{flops / 0.025 / 1e11:.0%}",
                   "1e-07"]
    row = [next(iter(column.cells)) for column in convolution.seeds_table(report, config).columns]
    assert row == ["128, 28, 16", "400.0", "100.0", "120.0", "1.20 x", f"{flops / 0.03 / 1e11:.0%}"]


def test_network_table_takes_the_fastest_mode_of_the_peer():
    side = {"compile_seconds": 2.0, "loss": 2.5, "parameters": 1000}
    train = {"ours": side | {"seconds": [0.1, 0.2, 0.9]}, "eager": side | {"seconds": [0.4]},
             "compiled, channels last": side | {"seconds": [0.3]}}
    oracle = {"logits": 1e-15, "loss": 2e-16, "gradients": 3e-15}
    reports = {"train": train, "oracle": oracle, "convolutions": None, "batch_size": 120}
    table = convolution.train_table(reports)
    assert table.columns[2].header == "PyTorch, compiled, channels last"
    cells = [list(column.cells) for column in table.columns]
    assert [column[0] for column in cells[1:]] == ["200.00", "300.00", "1.5 x"]
    assert [column[1] for column in cells[1:]] == ["600", "400", ""]
    assert cells[0][3] == "ms a step, eager" and cells[2][3] == "400.00"
    assert cells[3][5:] == ["1e-15 apart", "2e-16 apart", "3e-15 apart", "-", "-", "-", "-"]


def test_convolutions_that_differ_are_not_compared():
    same = {"logits": 1e-15, "loss": 1e-16, "gradients": 1e-14, "peak_bytes": 10**9}
    convolution.require_agreement({"convolutions": None, "oracle": None})
    convolution.require_agreement({"convolutions": None, "oracle": same})
    with pytest.raises(ValueError, match="in y, dx, dw, pooling they are 2e-06 apart"):
        convolution.require_agreement({"convolutions": {"y": 1e-16, "dx": 2e-6, "dw": 1e-15, "pooling": 0.0},
                                       "oracle": same})


@pytest.mark.slow
def test_our_agents_learn_without_the_peers(capsys):
    ways = ("learned baseline, one update", "whole episodes")
    config = reinforce.Config(peers_python=None, ways=ways, seeds=2, devices=2, hidden_sizes=(4,), chunk_steps=1,
                              repeats=2)
    reports = reinforce.main(config)["ours"]
    assert list(reports) == list(ways) and all(set(report) == {1, 2} for report in reports.values())
    for agents in (1, 2):
        assert reports[ways[0]][agents]["steps"] == [agents * 256] * 2
        assert all(agents * 10 * 8 <= steps < agents * 10 * 200 for steps in reports[ways[1]][agents]["steps"])
    assert all(len(report["seconds"]) == 2 and min(report["seconds"]) > 0 and 5 < report["mean_return"] < 200
               for of_way in reports.values() for report in of_way.values())
    assert "whole episodes" in capsys.readouterr().out


def test_learning_table_sets_every_way_against_both_loops():
    side = {"compile_seconds": 2.0, "mean_return": 99.6, "jax": "0.0.1", "device": "cpu"}
    ours = {way: {1: side | {"steps": [10, 10, 40], "seconds": [1.0, 2.0, 1.0]},
                  64: side | {"steps": [3000] * 3, "seconds": [1.0, 2.0, 3.0]}} for way in reinforce.WAYS}
    peers = {way: {"seconds": seconds, "mean_return": 50.0, "torch": "2"}
             for way, seconds in (("step by step", [0.1]), ("at once", [0.05, 0.02, 0.01]))}
    table = reinforce.table({"ours": ours, "peers": peers}, reinforce.Config())
    rows = list(zip(*(column.cells for column in table.columns)))
    assert rows[0] == ("learned baseline", "1", "10", "1.0 x", "0.2 x", "2.0", "100")
    assert rows[1] == ("learned baseline", "64", "1,500", "150.0 x", "30.0 x", "2.0", "100")
    assert rows[-1] == ("PyTorch, at once", "1", "50", "5.0 x", "1.0 x", "-", "50")
    assert "PyTorch 2" in str(table.title)
    alone = reinforce.table({"ours": ours, "peers": {}}, reinforce.Config(devices=2))
    assert len(alone.columns) == 5 and alone.row_count == 6 and "on 2 x cpu" in str(alone.title)


@pytest.mark.slow
def test_our_players_learn_without_the_peers(capsys):
    config = gan.Config(peers_python=None, datasets=("ring",), pairs=2, devices=2, widths=(4,), batch_size=8,
                        chunk_steps=2, chunks=2, turns=1)
    report = gan.main(config)["ring"]
    assert [side["pairs"] for side in report["sides"].values()] == [1, 2] and report["oracle"] is None
    assert all(len(side["seconds"]) == 2 and min(side["seconds"]) > 0 and 0 < side["loss"] < 50
               for side in report["sides"].values())
    assert report["built"]["recipe"]["widths"] == [4] and report["built"]["num_classes"] == 0
    assert "here, 2 on 2" in capsys.readouterr().out


@pytest.mark.parametrize("dataset", ["ring", pytest.param("digits", marks=pytest.mark.slow)])
def test_players_to_agree_on_are_in_double_precision(tmp_path, dataset):
    target = tmp_path / "out.npz"
    built = gan_ours.reference({}, flags={"dataset": dataset, "widths": (4,)}, rows=3, target=target)
    assert built["shape"] == {"ring": (2,), "digits": (8, 8, 1)}[dataset]
    with np.load(target) as written:
        arrays = {name: array for name, array in written.items() if not name.startswith(("data.", "labels"))}
        assert all(array.dtype == np.float64 for array in arrays.values())
        for player in ("generator", "discriminator"):
            params, gradients = ({name.removeprefix(f"{kind}.{player}."): array for name, array in arrays.items()
                                  if name.startswith(f"{kind}.{player}.")} for kind in ("params", "gradients"))
            assert {name: array.shape for name, array in params.items()} == {
                name: array.shape for name, array in gradients.items()}
            assert sum(array.size for array in params.values()) == built["parameters"][player]
            # Not so of every bias: a relativistic loss asks for differences of logits alone.
            assert all(np.any(np.abs(array) > 1e-9) for name, array in gradients.items() if name.endswith("kernel"))
        assert ("labels" in written) == (dataset == "digits") == ("data.images" in written)


def test_table_of_games_sets_all_pairs_together_against_the_fastest_peers():
    sides = {"here, 1 on 1": (1, 0.1), "here, 10 on 2": (10, 0.2), "PyTorch, eager, 1 threads": (1, 0.1),
             "PyTorch, eager, 2 threads": (1, 0.05), "PyTorch, compiled, 1 threads": (1, 0.025)}
    report = {"dataset": "ring", "oracle": {"losses": 1e-16, "gradients": 2e-15}, "built": {
        "recipe": {"batch_size": 256}, "parameters": {"generator": 1000, "discriminator": 2000}}, "sides": {
            name: {"pairs": pairs, "seconds": [0.001, seconds, 9.0], "compile_seconds": 2.0, "loss": 0.7,
                   ("torch" if "PyTorch" in name else "jax"): "0.1"} for name, (pairs, seconds) in sides.items()}}
    table = gan.table(report)
    rows = list(zip(*(column.cells for column in table.columns)))
    assert rows[1] == ("here, 10 on 2", "10", "50.0", "2.50 x", "1.25 x", "2.0", "0.700")
    assert rows[2][2:6] == ("10.0", "0.50 x", "0.25 x", "-") and rows[-1][2] == "2e-15 apart"
    assert "jax 0.1, torch 0.1" in str(table.title)
    alone = {name: side for name, side in report["sides"].items() if "here" in name}
    assert list(gan.table(report | {"sides": alone, "oracle": None}).columns[3].cells) == ["-", "-"]


def test_players_that_differ_are_not_compared():
    gan.require_agreement(None)
    gan.require_agreement({"losses": 1e-16, "gradients": 1e-14, "peak_bytes": 10**9})
    with pytest.raises(ValueError, match="in losses and gradients they are 2e-06 apart"):
        gan.require_agreement({"losses": 1e-16, "gradients": 2e-6})
    with pytest.raises(ValueError, match="nan apart"):
        gan.require_agreement({"losses": float("nan"), "gradients": 1e-16})


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
