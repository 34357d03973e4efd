"""Figures that are written are given back."""

import matplotlib.pyplot as plt

from experiments.runner import figures


def test_a_saved_figure_is_closed(tmp_path):
    figure, _ = plt.subplots()
    path = figures.save(tmp_path, "one", figure)
    assert path.read_bytes().startswith(b"\x89PNG") and not plt.fignum_exists(figure.number)
