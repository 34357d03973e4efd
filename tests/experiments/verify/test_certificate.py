"""The certificate: what holds, fails, raises or is refused, in the table, the JSON and the exit status."""

import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest
from rich.console import Console

from experiments.verify import __main__ as verify
from experiments.verify import tables
from experiments.verify.certificate import Verdict, applications, certify
from sandbox.identities import Identity, normals
from sandbox.matrix_factorization import identities

ROOT = Path(__file__).parents[3]
DOUBLE = Identity("x + x = 2 x", lambda x: x + x, lambda x: 2 * x, normals((3,)))
FALSE = Identity("x = −x", lambda x: x, lambda x: -x, normals((3,)))
SHAPELESS = Identity("of [two] shapes", lambda x: x, lambda x: x[1:], normals((3,)))
ONLY_FLOAT64 = Identity("lost in float32", lambda x: jnp.sin(x + 1e6),
                        lambda x: jnp.sin(x) * math.cos(1e6) + jnp.cos(x) * math.sin(1e6), normals((3,)), 1e-8)


def options(tmp_path, **changes):
    return verify.Options(**{"cases": 3, "only": ("matrix_factorization",), "workers": 1,
                             "json": tmp_path / "out" / "certificate.json"} | changes)


def test_every_application_is_certified():
    assert {"attention", "convolution", "gan", "kalman", "matrix_factorization", "reinforce", "score_matching"} <= set(
        applications())


def test_rows_that_fail_or_raise_are_told_and_the_exit_status_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(identities, "IDENTITIES", (DOUBLE, FALSE, SHAPELESS))
    assert verify.main(options(tmp_path)) == 1
    rows = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert [row["holds"] for row in rows] == [True, False, False]
    assert [row["cases"] for row in rows] == [3, 3, 3]
    assert rows[0]["error"] == rows[1]["error"] == ""
    assert rows[1]["float64"] == rows[1]["float32"] == pytest.approx(2)
    assert rows[2]["float64"] is None and "differ in shape" in rows[2]["error"]
    out = capsys.readouterr().out
    assert out.count("FAILS") == 2 and "of [two] shapes\n  ValueError: the sides differ in shape" in out
    assert "1 of 3 hold" in out


def test_what_holds_in_float64_alone_does_not_hold():
    verdict = certify("here", ONLY_FLOAT64, num_cases=5)
    assert verdict.float64 <= 1e-8 and verdict.float32 > 1e-3 and not verdict.holds


def test_all_holding_is_success_and_nothing_to_verify_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(identities, "IDENTITIES", (DOUBLE,))
    assert verify.main(options(tmp_path)) == 0
    monkeypatch.setattr(identities, "IDENTITIES", ())
    assert verify.main(options(tmp_path)) == 1


@pytest.mark.parametrize(("changes", "told"), [
    ({"only": ("kalman", "kalmann")}, "--only must name some of attention, .*; got kalmann"),
    ({"cases": 0}, "--cases must be at least 1, got 0"),
    ({"workers": -1}, "--workers must be at least 1, got -1"),
    ({"json": Path("/")}, "--json must be a file to write, got the directory /"),
    ({"json": Path(__file__) / "of.json"}, "--json must be a file that can be written, got .*of.json"),
])
def test_bad_flags_are_refused(tmp_path, capsys, changes, told):
    assert verify.main(options(tmp_path, **changes)) == 2
    assert re.search(told, capsys.readouterr().err)
    assert not (tmp_path / "out" / "certificate.json").exists()


@pytest.mark.parametrize("width", [80, 140])
def test_nothing_is_cut_off(width):
    verdict = Verdict("kalman", "∇ " + "a long name " * 9, 50, 1e-16, 1e-10, float("nan"), 1e-3, False, "why")
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(tables.certificate([verdict, verdict._replace(float32=1.0)]))
    text = console.export_text()
    assert "1.0e-16 ≤ 1e-10" in text and "1.0e+00 > 1e-03" in text and "FAILS" in text and "…" not in text
    assert " ".join(text.replace("│", "").split()).count("name") == 18


@pytest.mark.slow
def test_a_formula_broken_in_the_source_turns_rows_red_of_its_application_alone(tmp_path):
    for name in ("sandbox", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "sandbox" / "reinforce" / "derivatives.py"
    right, wrong = "(values - batch.returns)", "(values + batch.returns)"
    assert source.read_text(encoding="utf-8").count(right) == 1
    source.write_text(source.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    command = [sys.executable, "-m", "experiments.verify", "--only", "reinforce", "gan", "--cases", "3"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "100"},
                          capture_output=True, text=True, timeout=300)
    rows = json.loads((tmp_path / "runs" / "certificate.json").read_text())
    assert done.returncode == 1, done.stderr
    assert {row["application"] for row in rows} == {"reinforce", "gan"}
    red = [row for row in rows if not row["holds"]]
    assert [(row["application"], row["identity"]) for row in red] == [("reinforce", "∇ value error = w / Σw (V − G)")]
    assert not any(row["error"] for row in rows)
    assert done.stdout.count("FAILS") == 1 and f"{len(rows) - 1} of {len(rows)} hold" in done.stdout


def test_no_row_of_an_application_knows_another():
    """So that what is broken in one turns none of another's red."""
    script = f"""
import importlib, sys, types
for name in {applications()}:
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "sandbox"]:
        del sys.modules[loaded]
    sys.modules["sandbox"] = types.ModuleType("sandbox")  # without what its __init__ imports
    sys.modules["sandbox"].__path__ = [{str(ROOT / "sandbox")!r}]
    importlib.import_module(f"sandbox.{{name}}.identities")
    print(name, *sorted({{loaded.split(".")[1] for loaded in sys.modules if loaded.startswith("sandbox.")}}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    for name, *loaded in map(str.split, done.stdout.splitlines()):
        assert set(loaded) & set(applications()) == {name}
    assert len(done.stdout.splitlines()) == len(applications())


def test_draws_are_made_in_the_precision_that_is_tried():
    seen = []
    watched = DOUBLE._replace(left=lambda x: (seen.append(x.dtype), x + x)[1])
    certify("here", watched, num_cases=2)
    assert jnp.dtype("float64") in seen and jnp.dtype("float32") in seen


def test_what_was_tried_before_of_other_applications_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(identities, "IDENTITIES", (DOUBLE,))
    tried = options(tmp_path)
    tried.json.parent.mkdir()
    tried.json.write_text('[{"application": "kalman"}, {"application": "matrix_factorization"}]')
    assert verify.main(tried) == 0
    rows = json.loads(tried.json.read_text())
    assert [row["application"] for row in rows] == ["kalman", "matrix_factorization"] and rows[1]["holds"]
