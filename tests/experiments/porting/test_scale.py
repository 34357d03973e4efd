"""A size compiled on several topologies: what each chip takes, beside what the first one's did."""

import jax
import pytest

from experiments.porting import scale
from experiments.porting.collectives import Traffic
from experiments.porting.topology import Figures, Topology
from experiments.runner.errors import UserError

BYTES = {"one": 1000, "two": 520, "four": None}  # None: does not fit


@pytest.fixture
def without_a_compiler(monkeypatch):
    def figures(subject, where, size):
        assert (subject.name, size) == ("rating matrix", 100)
        number = BYTES[where.name]
        return number and Figures(number, 0, 0, (), {"all-gather": Traffic(1, 7)})

    numbers = dict(zip(BYTES, (1, 2, 4)))
    monkeypatch.setattr(scale, "libtpu_version", lambda: "0")
    monkeypatch.setattr(scale, "figures_if_it_fits", figures)
    monkeypatch.setattr(scale, "topology", lambda name: Topology(name, tuple(jax.devices()[:numbers[name]]), 2000))


def test_a_size_is_compiled_on_each_topology_and_not_searched(without_a_compiler, monkeypatch):
    shown = []
    monkeypatch.setattr(scale.console, "print", lambda what, **how: shown.append(what))
    assert scale.main(scale.Options(topologies=tuple(BYTES), only="rating", size=100)) == 0
    cells = {column.header: list(column.cells) for column in shown[0].columns}
    assert cells["size"] == 3 * ["0.1 billion ratings of 1 million users and 0.2 million items, rank 64"]
    assert cells["a chip"] == ["1000 B", "520 B", "does not fit"]
    assert cells["of it"] == ["50%", "26%", ""] and cells["of the first's"] == ["1.000", "0.520", ""]


def test_a_size_below_1_is_refused(without_a_compiler):
    with pytest.raises(UserError, match="--size must be at least 1, got 0"):
        scale.main(scale.Options(size=0))
