"""Diffusion: L = ½ E[λ ‖s(x + σε) + ε/σ‖²], ε ~ N(0, I), teaches s the score ∇ log p_σ of noised data.

∂L/∂s = λ (s + ε/σ), and given the noised x its mean is λ (s − ∇ log p_σ(x)): 0 where s is the score. Along
dx/dσ = −σ s(x) noise becomes data, and the trace of ∂s/∂x makes densities of it.

losses, weightings, processes, levels: what is learned from. derivatives, identities: the calculus by hand, and the
proof. probability_flow, dpm_solver, ancestral, reverse_sde, langevin: samplers. likelihood, traces: densities.
conditioning: guidance, and what is missing. mixtures, planes: data whose score, or density, is known. networks,
dequantisation: what scores are made of, and counts as bins.
"""

from sandbox.score_matching import derivatives
from sandbox.score_matching.ancestral import ancestral
from sandbox.score_matching.batches import Noised
from sandbox.score_matching.conditioning import guided, inpainted
from sandbox.score_matching.conversions import (
    denoised_of_score,
    in_process,
    noise_of_score,
    preconditioned,
    score_of_denoised,
    score_of_noise,
    score_of_velocity,
    velocity_of_score,
)
from sandbox.score_matching.dequantisation import bin_evidence, bin_slopes, binned, dequantised
from sandbox.score_matching.dpm_solver import dpm_solver_2m
from sandbox.score_matching.draws import (
    draw_log_normal_levels,
    draw_log_uniform_levels,
    draw_noised,
    draw_projections,
    draw_times,
)
from sandbox.score_matching.langevin import annealed_langevin
from sandbox.score_matching.levels import edm_levels, geometric_levels, tangent_levels, with_zero
from sandbox.score_matching.likelihood import Likelihood, bits_per_dim, flow_field, log_likelihood
from sandbox.score_matching.losses import (
    ScoreAux,
    denoising_loss,
    edm_loss,
    explicit_loss,
    flow_matching_loss,
    implicit_loss,
    sliced_loss,
)
from sandbox.score_matching.mixtures import (
    GaussianMixture,
    draw_mixture,
    gaussian_mixture,
    mixture_denoised,
    mixture_log_density,
    mixture_score,
    noised,
    ring_mixture,
)
from sandbox.score_matching.networks import ImageLogits, PointNetwork
from sandbox.score_matching.planes import checkerboard_log_density, draw_checkerboard, draw_swiss_roll, draw_two_moons
from sandbox.score_matching.probability_flow import heun
from sandbox.score_matching.processes import (
    PROCESSES,
    Process,
    by_level,
    drift_and_diffusion,
    linear_path,
    perturbed,
    require_times,
    sub_variance_preserving,
    variance_exploding,
    variance_preserving,
)
from sandbox.score_matching.reverse_sde import euler_maruyama, predictor_corrector
from sandbox.score_matching.sampled import Sampled
from sandbox.score_matching.traces import exact_trace, projected_trace
from sandbox.score_matching.weightings import (
    WEIGHTINGS,
    Weighting,
    edm_weighting,
    flow_weighting,
    likelihood_weighting,
    noise_weighting,
    unit_weighting,
)

__all__ = [
    "PROCESSES", "WEIGHTINGS", "GaussianMixture", "ImageLogits", "Likelihood", "Noised", "PointNetwork", "Process",
    "Sampled", "ScoreAux", "Weighting", "ancestral", "annealed_langevin", "bin_evidence", "bin_slopes", "binned",
    "bits_per_dim", "by_level", "checkerboard_log_density", "denoised_of_score", "denoising_loss", "dequantised",
    "derivatives", "dpm_solver_2m", "draw_checkerboard", "draw_log_normal_levels", "draw_log_uniform_levels",
    "draw_mixture", "draw_noised", "draw_projections", "draw_swiss_roll", "draw_times", "draw_two_moons",
    "drift_and_diffusion", "edm_levels", "edm_loss", "edm_weighting", "euler_maruyama", "exact_trace", "explicit_loss",
    "flow_field", "flow_matching_loss", "flow_weighting", "gaussian_mixture", "geometric_levels", "guided", "heun",
    "implicit_loss", "in_process", "inpainted", "likelihood_weighting", "linear_path", "log_likelihood",
    "mixture_denoised", "mixture_log_density", "mixture_score", "noise_of_score", "noise_weighting", "noised",
    "perturbed", "preconditioned", "predictor_corrector", "projected_trace", "require_times", "ring_mixture",
    "score_of_denoised", "score_of_noise", "score_of_velocity", "sliced_loss", "sub_variance_preserving",
    "tangent_levels", "unit_weighting", "variance_exploding", "variance_preserving", "velocity_of_score", "with_zero",
]
