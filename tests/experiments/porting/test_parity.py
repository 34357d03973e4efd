"""A second CPU device stands in for the accelerator: it agrees, and when it errs it is told of."""

import jax
import numpy as np
import pytest

from experiments.porting import parity


@pytest.fixture
def one_loss(monkeypatch):
    monkeypatch.setattr(parity, "applications", lambda: ["reinforce"])
    return parity.Options(only="value_error")


def test_without_an_accelerator_it_says_so_and_passes(one_loss, capsys):
    assert parity.main(one_loss) == 0
    assert "No accelerator is present" in capsys.readouterr().out


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
