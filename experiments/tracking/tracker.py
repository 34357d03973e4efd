"""What the experiment learned, in hand: filter and smooth a track, this one or another."""

import dataclasses
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

    def filter(self, track: Track) -> Filtered:
        """What could be known at each row of a track.

        Raises:
          ValueError: the track, or a sensor's noise, cannot be: see `check_track` and `check_noise`.
        """
        return _filter(self._checked(track), self.params, track, num_iterations=self.update_iterations)

    def smooth(self, track: Track) -> tuple[Filtered, Smoothed]:
        """The same, and what the whole track says of each row. Raises as `filter` does."""
        return _filter_and_smooth(self._checked(track), self.params, track, update_iterations=self.update_iterations,
                                  smoother_iterations=self.smoother_iterations)

    def _checked(self, track: Track) -> Model:
        check_noise(self.model, self.params)
        check_track(track, self.model.num_sensors)
        return self.model


def filter_and_smooth(model: Model, params: Any, track: Track, *, update_iterations: int, smoother_iterations: int
                      ) -> tuple[Filtered, Smoothed]:
    """Filter, then smooth to the most probable trajectory."""
    filtered = extended_kalman_filter(model, params, track, num_iterations=update_iterations)
    smoothed = extended_smoother(model, params, track, filtered)
    return filtered, iterated_smoother(model, params, track, smoothed, num_iterations=smoother_iterations)


_filter = jax.jit(extended_kalman_filter, static_argnums=0, static_argnames="num_iterations")
_filter_and_smooth = jax.jit(filter_and_smooth, static_argnums=0,
                             static_argnames=("update_iterations", "smoother_iterations"))
