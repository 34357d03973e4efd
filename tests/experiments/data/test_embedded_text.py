"""The text that needs nothing fetched."""

import numpy as np

from experiments.data import embedded_text, texts
from experiments.data.embedded_text import prose


def test_every_interpreter_has_enough_of_it():
    one = embedded_text.load()
    assert one.name == "embedded" and len(one.train) > 100_000 and len(one.validation) > 10_000
    assert 60 < one.alphabet.size < 256
    assert texts.fingerprint(embedded_text.load()) == texts.fingerprint(one)
    assert embedded_text.load("bytes").alphabet == texts.BYTES


def test_it_is_english_and_its_end_does_not_repeat_its_beginning():
    one = embedded_text.load()
    beginning, end = (texts.decode(one.alphabet, part) for part in (one.train, one.validation))
    assert " the " in end and ">>>" not in beginning + end and "====" not in beginning + end
    heard = {beginning[i : i + 50] for i in range(len(beginning) - 49)}
    assert np.mean([end[i : i + 50] in heard for i in range(len(end) - 49)]) < 0.02  # of the pages as they are: 0.11


def test_headings_code_grammar_tables_and_lists_stay_out():
    page = """The "del" statement
*******************

   del_stmt ::= "del" target_list

Deletion goes from left
to right.

   >>> del x
   >>> x

   Indented, it
   is still prose.

      But code:
          is not.

* An item.

+---+
| x |
+---+

Example:
"""
    assert prose([page, page]) == "Deletion goes from left\nto right.\n\nIndented, it\nis still prose."
