"""The certificate: all hold as they are, and a formula broken on purpose turns its row red."""

import json

import jax
import pytest

from experiments.verify import __main__ as verify
from experiments.verify import certificate
from sandbox.matrix_factorization import derivatives, identities


def test_every_application_is_certified():
    assert certificate.applications() == ["attention", "convolution", "gan", "kalman", "matrix_factorization",
                                          "reinforce", "score_matching"]


def test_a_broken_formula_fails_and_the_exit_status_says_so(tmp_path, monkeypatch, capsys):
    true = derivatives.bpr_grad
    monkeypatch.setattr(derivatives, "bpr_grad", lambda *args, **keywords: jax.tree.map(lambda leaf: -leaf, true(
        *args, **keywords)))
    broken = identities._gradient("bpr", identities._triplets, l2=0.3)
    monkeypatch.setattr(identities, "IDENTITIES", (identities.IDENTITIES[0], broken))
    monkeypatch.setattr(verify, "applications", lambda: ["matrix_factorization"])
    assert verify.main(verify.Options(cases=3, json=tmp_path / "out" / "certificate.json")) == 1
    rows = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert [row["holds"] for row in rows] == [True, False]
    assert rows[1]["float64"] == pytest.approx(2)
    assert "FAILS" in capsys.readouterr().out
