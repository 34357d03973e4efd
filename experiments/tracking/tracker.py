"""What the experiment learned, in hand: filter and smooth a track, this one or another."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from sandbox.kalman import (
    Filtered,
    Model,
    Smoothed,
    Track,
    check_noise,
    check_track,
    extended_kalman_filter,
    extended_smoother,
    iterated_smoother,
)


@dataclasses.dataclass(frozen=True)
class Tracker:
    """model, with params learned for it. update_iterations, smoother_iterations: see sandbox.kalman."""

    model: Model
    params: Any
    update_iterations: int
    smoother_iterations: int

    @staticmethod
    def of(learned: Mapping[str, Any], model: Model, params_type: type, **iterations: int) -> "Tracker":
        """From the nested dictionaries that a run directory holds."""
        return Tracker(model, params_type(**learned["params"]), **iterations)

    def filter(self, track: Track) -> Filtered:
        """What could be known at each row of a track.

        Raises:
          ValueError: the track, or a sensor's noise, cannot be: see `check_track` and `check_noise`.
        """
        return self.smooth(track)[0]

    def smooth(self, track: Track) -> tuple[Filtered, Smoothed]:
        """The same, and what the whole track says of each row. Raises as `filter` does."""
        check_noise(self.model, self.params)
        check_track(track, self.model.num_sensors)
        return jax.jit(partial(both, self.model, update_iterations=self.update_iterations,
                               smoother_iterations=self.smoother_iterations))(self.params, track)


def both(model: Model, params: Any, track: Track, *, update_iterations: int, smoother_iterations: int
         ) -> tuple[Filtered, Smoothed]:
    """Filter, then smooth to the most probable trajectory."""
    filtered = extended_kalman_filter(model, params, track, num_iterations=update_iterations)
    smoothed = extended_smoother(model, params, track, filtered)
    return filtered, iterated_smoother(model, params, track, smoothed, num_iterations=smoother_iterations)
