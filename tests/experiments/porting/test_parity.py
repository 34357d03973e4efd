"""A second CPU device stands in for the accelerator: it agrees, and when it errs it is told of."""

import jax
import numpy as np
import pytest

from experiments.porting import parity
from experiments.runner.errors import UserError
from tests.case import Case


def test_of_no_loss_it_says_so():
    with pytest.raises(UserError, match="--only typo: no loss's name contains this"):
        parity.main(parity.Options(only="typo"))


def _case_of(loss):
    return Case(loss, np.ones(3, np.float32), np.arange(3, dtype=np.float32), {}, (), ())


def single(params, batch):
    if params.dtype == np.dtype("bfloat16"):
        raise TypeError("params must be float32 or float64")
    return np.float32(2) * (params * batch).sum(), ()


def test_a_loss_that_takes_no_bfloat16_is_said_to_refuse_it_and_any_other_error_is_raised(monkeypatch):
    *_, last = parity.differences(_case_of(single))
    assert parity._cell(last) == "refused" and last.holds

    def computed(case, inputs, device, precision):
        raise ValueError("something else")

    found = parity.differences(_case_of(lambda params, batch: ((params * batch).sum(), ())))
    assert next(found).where == "cpu float32"
    monkeypatch.setattr(parity, "_computed", computed)
    with pytest.raises(ValueError, match="something else"):
        next(found)


def test_the_table_marks_where_a_quarter_is_what_holds_and_counts_in_roundings():
    cell = lambda error, tolerance, where="float32 default": parity._cell(
        parity.Difference(where, error, "gradient", tolerance))
    assert cell(0.01, parity.tolerance(1e-4, parity.TENSORFLOAT32)) == "1e-02 ≤ 2e-01*"
    assert cell(0.01, parity.tolerance(1e-6, parity.TENSORFLOAT32)) == "1e-02 ≤ 7e-02"
    assert cell(3 * parity.FLOAT32, None, "cpu float32") == "2e-07 = 3 u"


@pytest.fixture
def one_loss(monkeypatch):
    monkeypatch.setattr(parity, "applications", lambda: ["reinforce"])
    return parity.Options(only="value_error")


def test_without_an_accelerator_it_says_so_and_whether_one_is_unused_and_passes(one_loss, monkeypatch, capsys):
    monkeypatch.setattr(parity.devices, "unused_accelerator", lambda: "This machine has a GPU.")
    assert parity.main(one_loss) == 0
    said = capsys.readouterr().out
    assert "No accelerator is present" in said and "This machine has a GPU." in said


def test_a_device_that_computes_the_same_agrees(one_loss, capsys):
    assert parity.main(one_loss, jax.devices()[1]) == 0
    assert "1 of 1 losses agree" in capsys.readouterr().out


def test_a_device_that_errs_in_one_leaf_is_told_of(one_loss, monkeypatch, capsys):
    true = parity._computed

    def computed(case, inputs, device, precision):
        value, slopes = true(case, inputs, device, precision)
        return value, slopes * (1 + 1e-3 * (device == jax.devices()[1] and precision == "highest"))

    monkeypatch.setattr(parity, "_computed", computed)
    assert parity.main(one_loss, jax.devices()[1]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "value_error: float32 highest differs by 1.00e-03 in gradient" in said
    assert "float32 default differs" not in said


def test_a_leaf_that_is_nothing_but_rounding_is_measured_by_the_whole():
    truth = (1.0, {"w": np.array([1.0]), "nothing": np.array([1e-17])})
    found = (1.0, {"w": np.array([1.0]), "nothing": np.array([1e-8])})
    assert parity.worst(found, truth) == (pytest.approx(1e-8), "['nothing']")
    assert parity.worst((np.nan, truth[1]), truth) == (np.inf, "value")
