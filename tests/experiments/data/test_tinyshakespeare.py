"""Tiny Shakespeare: from a miniature file everywhere, from the real one where it is at hand."""

import hashlib
import os
import pathlib

import numpy as np
import pytest

from experiments.data import texts, tinyshakespeare

REAL = pathlib.Path(os.environ.get("SANDBOX_DATA", "")) / "tinyshakespeare" / tinyshakespeare.FILE
needs_real_data = pytest.mark.skipif(not REAL.is_file(), reason="SANDBOX_DATA has no tinyshakespeare: see README")


def test_it_goes_by_its_own_name(tmp_path):
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / tinyshakespeare.FILE).write_text("To be, or not")
    one = tinyshakespeare.load(tmp_path, "bytes")
    assert one.name == "tinyshakespeare" and one.alphabet == texts.BYTES
    assert texts.decode(one.alphabet, one.train) == "To be, or n"


@needs_real_data
def test_the_real_text():
    one = tinyshakespeare.load(REAL.parent.parent)
    assert len(one.train) == 1_003_854 and len(one.validation) == 111_540
    assert one.alphabet.characters == "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert one.alphabet.size == 65
    assert texts.decode(one.alphabet, one.train[:14]) == "First Citizen:"
    assert texts.blocks(one.validation, 64).weights.sum() == 111_540 - 1_743
    content = texts.decode(one.alphabet, np.concatenate([one.train, one.validation])).encode()
    assert tinyshakespeare.DATASET.checksums[tinyshakespeare.FILE] == hashlib.sha256(content).hexdigest()
