"""Work spread over processes."""

import math
import os

import pytest

from experiments.runner.errors import UserError
from experiments.verify.workers import cores, spread


def test_all_of_it_is_done_by_processes_and_here():
    assert cores() >= 1
    work = [1.0, 4.0, 9.0]
    assert dict(spread(math.sqrt, work, 2)) == dict(spread(math.sqrt, work, 1)) == {1.0: 1.0, 4.0: 2.0, 9.0: 3.0}
    assert list(spread(math.sqrt, [], 2)) == []


def test_what_a_process_raises_is_raised_here():
    with pytest.raises(ValueError, match="math domain"):
        list(spread(math.sqrt, [-1.0, -2.0], 2))


def test_a_process_that_is_ended_is_told():
    with pytest.raises(UserError, match=r"ended from outside.*--workers 1"):
        list(spread(os._exit, [3, 4], 2))
