"""A result in hand: what it holds, and how it shows itself in a terminal and in a notebook."""

import json
import time

import numpy as np
import pytest

from experiments.runner import checkpoints, curves, finish
from experiments.runner.result import Result
from experiments.runner.summary import summarise
from tests.experiments.extra import tiny


@pytest.fixture
def result(tmp_path):
    """Of two seeds, whose loss falls along lines; one of three values of the second is not a number."""
    summary = summarise("tiny", "quick", "embedded", [3, 4], {"error": [1.0, 3.0], "a < b": [0.5, 0.5]},
                        {"compile": 1.0, "run": 2.0, "total": 3.0, "fit": 3.0}, {"platform": "cpu"}, {})
    lines = [{"stage": "fit", "step": step, "run": run, "seconds": 0.1, "loss": loss, "other": 0.0}
             for step in (10, 20, 30) for run, loss in (("seed 3", 3.0 - step / 10), ("seed 4", float(step)))]
    lines[3]["loss"] = None
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "curve.png").write_bytes(b"\x89PNG")
    return Result(None, summary, tmp_path, {"curve": tmp_path / "figures" / "curve.png"}, 1.0)


def test_it_holds_metrics_curves_and_what_was_learned(result):
    assert result.metrics == {"error": 2.0, "a < b": 0.5}
    assert set(result.curves) == {"fit"} and set(result.curves["fit"]) == {"loss", "other"}
    assert result.curves["fit"]["loss"]["seed 3"].values.tolist() == [2.0, 1.0, 0.0]
    assert result.curves["fit"]["loss"]["seed 4"].steps.tolist() == [10, 30], "null is left out"
    checkpoints.save(result.directory / "learned", {"w": np.ones(2)}, {"experiment": "tiny"})
    assert result.params["w"].tolist() == [1, 1], "a model without params of its own"


@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_gets_table_curve_and_paths_within_its_width(result, columns, monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", str(columns))
    page = repr(result)
    assert "loss of fit, by step, 2 runs" in page and "\033" not in page
    drawn = [line for line in page.splitlines() if "│" in line and any("⠀" < mark <= "⣿" for mark in line)]
    assert len(drawn) > 5 and max(map(len, page.splitlines())) == columns
    assert page.index("error") < page.index("loss of fit") < page.index("figures/curve.png")
    assert capfd.readouterr() == ("", ""), "plotext says nothing of its own"
    assert repr(result) == page, "nothing is left over from what was drawn before"
    began = time.perf_counter()
    repr(result)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("lines", [None, "", "not json\n", '{"stage": "fit"}\n', "[]\n", '{"step": 1, "x": 2.0}\n'])
def test_it_shows_itself_where_files_are_gone_or_damaged(result, lines):
    metrics, figure = result.directory / "metrics.jsonl", result.figures["curve"]
    metrics.unlink()
    figure.unlink()
    if lines is not None:
        metrics.write_text(lines)
    for page in (repr(result), result._repr_html_()):
        assert "error" in page and "by step" not in page and "base64" not in page
        assert "curve.png is gone" in page.replace(", which", "")


def test_a_notebook_gets_a_table_and_figures_and_text_as_text(result):
    page = result._repr_html_()
    assert "<table>" in page and "<td>a &lt; b</td>" in page and "a < b" not in page
    assert "data:image/png;base64,iVBORw==" in page and "seeds 3 to 4" in page


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 0.0], [1e-30, 1e30], [1.0, 1.0 + 1e-9], [-1e300, 1e300]])
def test_any_finite_curve_can_be_drawn(values, capfd):
    curve = curves.Curve(np.arange(len(values)), np.array(values))
    assert max(map(len, curves.as_text("t", {"a": curve}, 40).splitlines())) == 40
    assert capfd.readouterr() == ("", "")
    for short in ([], [1.0]):
        assert curves.as_text("t", {"a": curves.Curve(np.array(short), np.array(short))}, 40) == "", "no curve yet"


def test_a_figure_that_is_gone_is_still_spoken_of_when_a_run_is_loaded(tmp_path):
    ran = tiny.run(tiny.Config(num_steps=4, out=tmp_path / "run"))
    loaded = finish.load(ran.directory, "tiny", tiny.Config, tiny.revive)
    assert (loaded.summary, loaded.figures) == (ran.summary, ran.figures)
    ran.figures["nothing"].unlink()
    loaded = finish.load(ran.directory, "tiny", tiny.Config, tiny.revive)
    assert "figures/nothing.png, which is gone" in repr(loaded) and "nothing.png is gone" in loaded._repr_html_()
    path = ran.directory / "summary.json"
    summary = json.loads(path.read_text())
    assert summary.pop("figures") == ["nothing"]
    path.write_text(json.dumps(summary))  # as it was before figures were named in it
    assert finish.load(ran.directory, "tiny", tiny.Config, tiny.revive).figures == {}
