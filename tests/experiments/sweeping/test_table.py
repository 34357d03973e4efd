"""What a sweep says of points that failed, in part or wholly, and of metrics that a point lacks."""

from pathlib import Path

import numpy as np
import pytest

from experiments.sweeping.heat_map import heat_map
from experiments.sweeping.table import Row, Sweep, cell


def metric(*per_seed):
    return {"mean": float(np.mean(per_seed)), "ci95": None, "per_seed": list(per_seed)}


def sweep(*rows, keys=("rate",)):
    points = [Row(f"points/{position}", dict(zip(keys, values)), metrics, failures)
              for position, (values, metrics, failures) in enumerate(rows)]
    return Sweep("toy", list(keys), "error", points, Path("runs/toy/sweep"))


FAILED = ["first, seed 0: ['w'] at step 3", "second, seed 0: ['w'] at step 1"]
MIXED = sweep(((0.1,), {"error": metric(1.0, 2.0, 3.0)}, []),
              ((0.2,), {"error": metric(1.0, 2.0, 3.0)}, FAILED),
              ((0.3,), {"error": metric(1.0)}, FAILED),
              ((0.4,), {"error": metric(np.nan, 1.0)}, []),
              ((0.5,), {"other": metric(4.0, 5.0)}, []))


def test_cells_and_heat_map_say_the_same_of_what_failed():
    assert [cell(row, "error") for row in MIXED.points] == [
        "2.0000", "2.0000 (1 of 3 failed)", "not finite", "not finite", ""]
    [axis, _] = heat_map(MIXED).axes
    assert [text.get_text() for text in axis.texts] == ["2", "2\n1 of 3 failed", "not\nfinite", "not\nfinite"]
    assert np.ma.getmaskarray(np.ma.asarray(axis.images[0].get_array())).tolist() == [[False, False, True, True, True]]


def test_a_metric_that_only_some_points_have_is_in_the_table():
    assert "other" in repr(MIXED) and "4.5000" in repr(MIXED)


def test_a_single_point_is_one():
    assert "toy, 1 point\n" in repr(sweep(((0.1,), {"error": metric(1.0)}, [])))


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0, 2.0], [0.0] * 4, [1.0, 2.0, 3.0, 4.0]])
def test_panels_share_one_scale_that_has_a_width(values):
    rows = [((a, b, c), {"error": metric(value)}, []) for (a, b, c), value in zip(
        [(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 1, 2)], values)]
    images = [axis.images[0] for axis in heat_map(sweep(*rows, keys=("a", "b", "c"))).axes if axis.images]
    assert len(images) == 2 and images[0].norm is images[1].norm
    low, high = images[0].get_clim()
    assert low < min(values) <= max(values) < high or (low, high) == (1.0, 4.0)
