"""Means, intervals and the closing table."""

import json

import pytest

from experiments.runner.result import Result, as_text
from experiments.runner.summary import Reference, over_seeds, summarise


def test_interval_is_students_t():
    """Student 1908's table: t(0.975, 9) = 2.262; ten values of standard deviation s have half-width 2.262 s / √10."""
    values = list(range(10))
    s = (sum((x - 4.5) ** 2 for x in values) / 9) ** 0.5
    assert over_seeds(values)["ci95"] == pytest.approx(2.262157 * s / 10**0.5, rel=1e-6)
    assert over_seeds([1.0]) == {"mean": 1.0, "ci95": None, "per_seed": [1.0]}


def example(tmp_path, failures=()):
    summary = summarise("tiny", "quick", "embedded", [3, 4], {"error": [1.0, 3.0], "gain": [0.5, 0.5]},
                        {"compile": 1.0, "run": 2.0, "total": 3.0, "fit": 3.0}, {"platform": "cpu"},
                        {"error": Reference(2.5, "Somebody 2020")})
    return Result(None, summary, tmp_path, {"curve": tmp_path / "figures" / "curve.png"}, None, failures, "a sample")


def test_summary_has_the_promised_fields_and_is_json(tmp_path):
    summary = example(tmp_path).summary
    assert json.loads(json.dumps(summary)) == summary
    assert set(summary) == {"experiment", "preset", "dataset", "seeds", "metrics", "seconds", "devices", "reference"}
    assert summary["metrics"]["error"]["per_seed"] == [1.0, 3.0]
    assert summary["reference"]["error"] == {"value": 2.5, "source": "Somebody 2020"}


def test_the_closing_page_shows_it_all(tmp_path):
    page = as_text(example(tmp_path, failures=("fit, seed 4: ['w'] at step 9",)))
    for words in ("tiny, embedded, quick, seeds 3 to 4", "2.0000 ± 12.7062", "2.5000", "Somebody 2020", "a sample",
                  "3.0 s: compiling 1.0, running 2.0", "fit 3.0", "NOT FINITE: fit, seed 4: ['w'] at step 9",
                  "figures/curve.png"):
        assert words in page


def test_a_notebook_gets_the_figures_with_the_table(tmp_path):
    result = example(tmp_path)
    (tmp_path / "figures").mkdir()
    result.figures["curve"].write_bytes(b"\x89PNG")
    page = result._repr_html_()
    assert 'alt="curve"' in page and "data:image/png;base64,iVBORw==" in page and "Somebody 2020" in page
