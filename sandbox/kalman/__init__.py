"""Sensor fusion: x̂ = f(x), P = F P Fᵀ + Q; then K = P Hᵀ (H P Hᵀ + R)⁻¹, with F = ∂f/∂x and H = ∂h/∂x by jax.jacfwd.

Noise is learned by L = −log p(z) = ½ Σ (rᵀ S⁻¹ r + log det 2πS), with r = z − h(x̂) and S = H P Hᵀ + R:
∂L/∂r = a and ∂L/∂S = ½ (S⁻¹ − a aᵀ), with a = S⁻¹ r.

model, track: what is given. motion, sensors, models: functions to make a model of, and two made ones.
linearise: F and H, about any point. filter, smoother, parallel: what to do with them; covariance and square_root are
the two forms of their moves, innovation what a measurement says, small the linear algebra.
losses, derivatives, identities: the likelihood, its calculus by hand, and the proof. consistency: NIS, NEES.
"""

from sandbox.kalman import (
    consistency,
    covariance,
    derivatives,
    filter,
    innovation,
    linearise,
    losses,
    model,
    models,
    motion,
    parallel,
    sensors,
    simulate,
    small,
    smoother,
    square_root,
    track,
)
from sandbox.kalman.filter import Filtered, extended_kalman_filter, kalman_filter, update_iterated
from sandbox.kalman.innovation import Innovation
from sandbox.kalman.linearise import Noise, Observation, Transition
from sandbox.kalman.losses import Tracks, negative_log_likelihood
from sandbox.kalman.model import Factored, Gaussian, Model, check_noise, linear_model
from sandbox.kalman.smoother import Smoothed, extended_smoother, iterated_smoother, rts_smoother
from sandbox.kalman.track import Track, check_track

__all__ = [
    "Factored", "Filtered", "Gaussian", "Innovation", "Model", "Noise", "Observation", "Smoothed", "Track", "Tracks",
    "Transition", "check_noise", "check_track", "consistency", "covariance", "derivatives", "extended_kalman_filter",
    "extended_smoother", "filter", "innovation", "iterated_smoother", "kalman_filter", "linear_model",
    "linearise", "losses", "model", "models", "motion", "negative_log_likelihood", "parallel", "rts_smoother",
    "sensors", "simulate", "small", "smoother", "square_root", "track", "update_iterated",
]
