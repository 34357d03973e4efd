"""Every formula broken on purpose turns a row red; how they are broken; and that a hole is found."""

import types
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from experiments.verify import __main__ as verify
from experiments.verify import mutations
from experiments.verify.certificate import applications
from experiments.verify.equivalents import EQUIVALENT
from experiments.verify.mutants import functions_of, mutants_of
from sandbox.identities import Identity, normals

SOURCE = '''
"""Formulas."""

def fall(x, *, factor=-1):
    """The derivative of 3 − x² / 2."""
    if x.ndim != 1 - 0 * 2:
        raise ValueError(f"{x.ndim - 1}")
    return -x[-1 + 1:] * twice(1 / 2)

def twice(x):
    return x + x

def never(x):
    return x

PAIR = (lambda x: x - 1, lambda x: x**2)
'''


@pytest.fixture
def formulas(tmp_path):
    path = tmp_path / "formulas.py"
    path.write_text(SOURCE, encoding="utf-8")
    module = types.ModuleType("formulas")
    module.__file__ = str(path)
    exec(compile(SOURCE, path, "exec"), vars(module))
    return module


@pytest.mark.slow
@pytest.mark.parametrize("application", applications())
def test_every_formula_that_is_broken_turns_a_row_red(application):
    report = mutations.mutate(application)
    assert report.holes == []
    assert report.functions >= 10 and report.mutants > 3 * report.functions


def test_equivalents_are_of_applications_and_have_reasons():
    assert set(EQUIVALENT) <= set(applications())
    assert all(reason for listed in EQUIVALENT.values() for reason in listed.values())


def test_each_function_is_found_with_its_own_source(formulas):
    found = functions_of(formulas)
    assert list(found) == [formulas.fall, formulas.twice, formulas.never, *formulas.PAIR]


def test_formulas_are_broken_and_checks_indices_and_settings_are_not(formulas):
    changes = [mutant.change for function, source in functions_of(formulas).items()
               for mutant in mutants_of(function, source)]
    assert [change for change in changes if change.startswith("twice")] == [
        "twice: return x + x → negated", "twice: x + x → x - x", "twice: x + x → x", "twice: x + x → x"]
    assert [change.partition(": ")[2] for change in changes if change.startswith("fall")] == [
        "1 - 0 * 2 → 1 + 0 * 2", "1 - 0 * 2 → 1", "1 - 0 * 2 → -(0 * 2)", "0 * 2 → 0", "0 * 2 → 2",
        "return -x[-1 + 1:] * twice(1 / 2) → negated", "-x[-1 + 1:] * twice(1 / 2) → -x[-1 + 1:]",
        "-x[-1 + 1:] * twice(1 / 2) → twice(1 / 2)", "-x[-1 + 1:] → x[-1 + 1:]", "1 / 2 → 1 * 2", "1 / 2 → 1"]
    assert "lambda x: x - 1: x - 1 → x + 1" in changes and "lambda x: x ** 2: x ** 2 → x" in changes


def test_the_code_of_a_mutant_computes_what_it_says(formulas):
    made = {mutant.change: mutant for function, source in functions_of(formulas).items()
            for mutant in mutants_of(function, source)}
    values = {"twice: x + x → x - x": 0, "twice: return x + x → negated": -6, "twice: x + x → x": 3}
    for change, value in values.items():
        assert type(formulas.twice)(made[change].code, vars(formulas))(3) == value


def report_of(formulas, identities, monkeypatch):
    monkeypatch.setattr(mutations, "derivatives_of", lambda application: [formulas])
    monkeypatch.setattr(mutations, "identities_of", lambda application: identities)
    return mutations.mutate("here")


def test_holes_are_found(formulas, monkeypatch):
    """A row that squares sees no sign; and a function is found where partial(...) holds it, or a scan calls it."""
    bound, held = partial(formulas.fall), formulas.PAIR[0]
    square = Identity("a square", lambda x: bound(x)**2, lambda x: x**2, normals((3,)))
    scanned = Identity("a scan", lambda x: jax.lax.scan(lambda sum, one: (sum + held(one), held(one)), 0.0, x),
                       lambda x: (jnp.sum(x - 1), x - 1), normals((3,)))
    monkeypatch.setitem(EQUIVALENT, "here", {"twice: x + x → x": "so it seems", "fall: gone": "no longer there"})
    report = report_of(formulas, (square, scanned), monkeypatch)
    assert report.uncalled == ["never", "lambda x: x ** 2"]
    assert {hole for hole in report.holes if hole.startswith(("fall: return", "fall: -x[-1 + 1:] →"))} == {
        "fall: return -x[-1 + 1:] * twice(1 / 2) → negated: no identity fails",
        "fall: -x[-1 + 1:] → x[-1 + 1:]: no identity fails"}
    assert {"never: no identity calls it", "twice: x + x → x: listed as equivalent, and noticed or gone",
            "fall: gone: listed as equivalent, and noticed or gone"} <= set(report.holes)
    assert not any(change.startswith("lambda x: x - 1") for change in report.survivors)
    assert formulas.twice(3) == 6


def test_rows_that_do_not_hold_as_they_are_prove_nothing(formulas, monkeypatch):
    with pytest.raises(RuntimeError, match="does not hold as it is: a lie"):
        report_of(formulas, (Identity("a lie", formulas.twice, lambda x: x, normals((3,))),), monkeypatch)


@pytest.mark.parametrize(("survivors", "status"), [([], 0), (["twice: x + x → x"], 1)])
def test_the_table_and_the_exit_status(tmp_path, monkeypatch, capsys, survivors, status):
    monkeypatch.setattr(verify, "mutate", lambda name: mutations.Report(name, 3, 8, survivors, []))
    options = verify.Options(only=("kalman",), workers=1, mutate=True, json=tmp_path / "certificate.json")
    assert verify.main(options) == status
    out = capsys.readouterr().out
    assert f"8 mutants, {len(survivors)} not accounted for" in out
    assert ("kalman: twice: x + x → x: no identity fails" in out) == bool(survivors)
