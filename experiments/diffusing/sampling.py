"""Samplers by name, each told how often it may ask for the score."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from sandbox import score_matching
from sandbox.score_matching import Sampled

CORRECTIONS = 1  # of Langevin's, for each prediction
LANGEVIN_STEPS, LANGEVIN_RATIO = 1, 1.0  # of each level; the longer a step, the fewer it takes to follow the level


def sampling_levels(steps: int, least: float, most: float) -> np.ndarray:
    """EDM's from most to least, then 0: of all samplers but Langevin's and the stochastic equation's, which ends at the
    least."""
    return score_matching.with_zero(score_matching.edm_levels(steps - 1, least, most))


def _heun(key, shape, *, evaluations, least, most, **how):
    return score_matching.heun(key, shape, levels=sampling_levels((evaluations + 1) // 2, least, most), **how)


def _dpm_solver(key, shape, *, evaluations, least, most, **how):
    return score_matching.dpm_solver_2m(key, shape, levels=sampling_levels(evaluations, least, most), **how)


def _ancestral(key, shape, *, evaluations, least, most, **how):
    return score_matching.ancestral(key, shape, levels=sampling_levels(evaluations, least, most), **how)


def _euler_maruyama(key, shape, *, evaluations, least, most, **how):
    return score_matching.euler_maruyama(key, shape, process=score_matching.by_level(least, most),
                                         times=score_matching.edm_levels(evaluations, least, most), **how)


def _predictor_corrector(key, shape, *, evaluations, least, most, **how):
    steps = max(1, (evaluations + CORRECTIONS) // (1 + CORRECTIONS))  # the last prediction is not corrected
    return score_matching.predictor_corrector(key, shape, process=score_matching.by_level(least, most),
                                              times=score_matching.edm_levels(steps, least, most),
                                              corrector_steps=CORRECTIONS, **how)


def _langevin(key, shape, *, evaluations, least, most, **how):
    steps = max(1, (evaluations - 1) // LANGEVIN_STEPS)  # the last evaluation is of the step to 0
    levels = score_matching.with_zero(score_matching.geometric_levels(steps, least, most))
    return score_matching.annealed_langevin(key, shape, levels=levels, steps_per_level=LANGEVIN_STEPS,
                                            step_ratio=LANGEVIN_RATIO, **how)


SAMPLERS: Mapping[str, Callable[..., Sampled]] = MappingProxyType({
    "heun": _heun, "dpm-solver": _dpm_solver, "ancestral": _ancestral, "euler-maruyama": _euler_maruyama,
    "predictor-corrector": _predictor_corrector, "langevin": _langevin})
"""(key, shape, *, score_fn, evaluations, least, most, start) -> Sampled."""
