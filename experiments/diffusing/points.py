"""Points of a plane: densities that are known, or at least drawn from at will."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.diffusing import point_figures
from experiments.diffusing.adaptive import adaptive_log_density
from experiments.diffusing.diffuser import Diffuser
from experiments.diffusing.recipes import Recipe
from experiments.diffusing.subject import JUDGING, Subject, Verdict, judging_keys
from experiments.runner.loop import begin, spending
from experiments.runner.run import Run
from experiments.runner.summary import Reference
from sandbox import score_matching, two_sample

MEASURED, TESTED, EXACTLY_TESTED, COMPARED = 1_000_000, 10_000, 2000, 5000  # points
EVALUATIONS, MANY, OTHER_STEPS = (10, 18, 35), 1000, (4, 6, 9, 13)
PROJECTIONS = 8  # of Hutchinson's trace
STEPS, EXACT_STEPS = 24, 12  # of a likelihood, and of one of a score that is known
STRIP = 2000  # points
FINE, COARSE = 1e-7, (1e-2, 1e-3, 1e-4, 1e-5)  # tolerances of the adaptive solver
REFERENCES = {"nll_error_nats": Reference(1e-3, "aim; sbgm's test looks at shapes only")}


class Plane(NamedTuple):
    """draw: (key, N) -> (N, 2). log_density: (N, 2) -> nats; None where it is not known in closed form. mixture: where
    the density is one, whose score is known at every level."""

    draw: Callable[[jax.Array, int], jax.Array]
    log_density: Callable[[jax.Array], jax.Array] | None = None
    mixture: score_matching.GaussianMixture | None = None


def _of_mixture(mixture: score_matching.GaussianMixture) -> Plane:
    return Plane(lambda key, num: score_matching.draw_mixture(key, mixture, num),
                 partial(score_matching.mixture_log_density, mixture=mixture), mixture)


RING = _of_mixture(score_matching.ring_mixture())
PLANES: Mapping[str, Plane] = MappingProxyType({
    "embedded": RING, "mixture": RING, "two-moons": Plane(score_matching.draw_two_moons),
    "checkerboard": Plane(score_matching.draw_checkerboard, score_matching.checkerboard_log_density),
    "swiss-roll": Plane(score_matching.draw_swiss_roll)})


def points(name: str, recipe: Recipe, compare: tuple[str, ...]) -> Subject:
    """One of PLANES; compare: samplers whose samples are held against each other."""
    plane = PLANES[name]
    drawn = np.asarray(plane.draw(jax.random.key(JUDGING), MEASURED), np.float64)
    diffuser = point_diffuser(recipe, float(drawn.std()), float(drawn.mean()))

    def draw_rows(key: jax.Array):
        return plane.draw(key, recipe.batch_size), ()

    return Subject(diffuser, (), draw_rows, partial(judge, plane=plane, compare=compare))


def point_diffuser(recipe: Recipe, sigma_data: float, mean: float) -> Diffuser:
    """A network for points of a width and mean."""
    return Diffuser(score_matching.PointNetwork(recipe.width, recipe.layers), sigma_data, mean, recipe.least_level,
                    recipe.most_level, (2,))


def judge(run: Run, diffusers: Mapping[str, Diffuser], *, plane: Plane, compare: tuple[str, ...]) -> Verdict:
    """How far from the truth each objective's density is, by exact likelihood; what samplers make of the first one's
    score; and how exact likelihoods are, of a score that is known."""
    names = list(diffusers)
    first = diffusers[names[0]]
    test = plane.draw(jax.random.key(JUDGING), TESTED)
    reached = {}
    for name, diffuser in diffusers.items():
        log_q = begin(run, "judge", lambda params, x, diffuser=diffuser: jax.lax.map(
            lambda one: diffuser.likelihood(one, x, steps=STEPS).log_density, params), diffuser.params, test)
        own = "" if name == names[0] else f"_{name}"
        if plane.log_density is None:
            reached[f"nll_nats{own}"] = -np.asarray(log_q, np.float64).mean(axis=1)
        else:
            log_p = np.asarray(plane.log_density(test), np.float64)
            reached[f"kl_nats{own}"] = (log_p[None] - np.asarray(log_q, np.float64)).mean(axis=1)
    seeds = run.config.seeds
    text = f"By {', '.join(names)}: {len(names)} x {seeds} scores of {first.num_parameters:,} parameters."
    drawn = {"field": point_figures.field(first, plane), "making": point_figures.making(path_of(run, first))}
    if plane.mixture is not None:
        exact = of_exact_score(run, plane.mixture, first)
        reached |= {name: np.full(seeds, value) for name, value in exact.items()}
    if compare:
        distances, floor = samplers_compared(run, first, plane, compare)
        reached |= {f"mmd_{sampler}_{asked}": mmd for (sampler, asked), mmd in distances.items()}
        reached["mmd_of_truth"] = np.full(seeds, floor)
        errors = likelihoods_by_evaluations(run, first, test[:EXACTLY_TESTED])
        drawn["evaluations"] = point_figures.by_evaluations(errors, distances, floor)
        text += (f"\nmmd_SAMPLER_N: of {COMPARED:,} samples, N evaluations of the score by {names[0]} each, to as many "
                 "true points; mmd_of_truth: of true points to others.")
    return Verdict(reached, REFERENCES if plane is RING else {}, drawn, text)


def of_exact_score(run: Run, mixture: score_matching.GaussianMixture, diffuser: Diffuser) -> dict[str, float]:
    """How far likelihoods by the flow are from closed form, of a score that is known, in nats: by the exact trace; and
    by Hutchinson's, with the share of points at which it is within twice its own standard error."""
    x = score_matching.draw_mixture(jax.random.key(JUDGING + 1), mixture, EXACTLY_TESTED)
    signs = score_matching.draw_projections(jax.random.key(JUDGING + 2), x.shape, PROJECTIONS)

    def found(x, projections):
        by_flow = partial(score_matching.log_likelihood, x, levels=diffuser.likelihood_levels(EXACT_STEPS),
                          score_fn=partial(score_matching.mixture_score, mixture=mixture),
                          sigma_data=diffuser.sigma_data, mean=diffuser.mean)
        return by_flow(), by_flow(projections=projections)

    exact, estimated = begin(run, "judge", found, x, signs)
    truth = np.asarray(score_matching.mixture_log_density(x, mixture), np.float64)
    away = np.abs(np.asarray(estimated.log_density) - truth)
    return {"nll_error_nats": np.abs(np.asarray(exact.log_density) - truth).mean(),
            "nll_error_hutchinson_nats": away.mean(),
            "within_two_standard_errors": (away <= 2 * np.asarray(estimated.standard_error)).mean()}


def samplers_compared(run: Run, diffuser: Diffuser, plane: Plane, compare: tuple[str, ...]
                      ) -> tuple[dict[tuple[str, int], np.ndarray], float]:
    """Maximum mean discrepancy of samples to true points, (K,) of each sampler and number of evaluations, and of true
    points to others."""
    truth, other = (plane.draw(jax.random.key(JUDGING + n), COMPARED) for n in (3, 4))
    asked = [(sampler, evaluations) for sampler in compare for evaluations in EVALUATIONS]
    asked += [("euler-maruyama", MANY)] if "euler-maruyama" in compare else []

    def distances(params, keys, truth, *, sampler, evaluations):
        def of_seed(one):
            samples = diffuser.sampled(one[0], one[1], COMPARED, sampler=sampler, evaluations=evaluations).samples
            return mmd(samples, truth)

        return jax.lax.map(of_seed, (params, keys))

    return {(sampler, evaluations): np.asarray(begin(
        run, "sample", partial(distances, sampler=sampler, evaluations=evaluations), diffuser.params, judging_keys(run),
        truth)) for sampler, evaluations in asked}, float(begin(run, "sample", mmd, truth, other))


def mmd(x: jax.Array, y: jax.Array) -> jax.Array:
    """Maximum mean discrepancy with the kernel −‖a − b‖, in the root of the data's unit; 0 where the estimate of its
    square is not above 0."""
    return jnp.sqrt(jnp.maximum(two_sample.energy_distance(x, y) / 2, 0))


def likelihoods_by_evaluations(run: Run, diffuser: Diffuser, x: jax.Array) -> dict[str, dict[int, float]]:
    """Mean absolute error in nats of the first seed's likelihoods, by evaluations, to diffrax's adaptive solver at a
    fine tolerance: of fixed steps with the exact trace, of Hutchinson's, and of the adaptive solver at coarser ones."""
    params = jax.tree.map(lambda leaf: leaf[0], diffuser.params)
    with spending(run, "judge"):
        fine = adaptive_log_density(diffuser, x, tolerance=FINE).log_density
        coarse = [adaptive_log_density(diffuser, x, tolerance=tolerance) for tolerance in COARSE]
    found = {"adaptive": {one.evaluations: np.abs(one.log_density - fine).mean() for one in coarse}}
    for name, projections in (("fixed steps", 0), ("fixed steps, Hutchinson", PROJECTIONS)):
        found[name] = {4 * steps: np.abs(np.asarray(begin(run, "judge", partial(
            diffuser.likelihood, steps=steps, projections=projections), params, x).log_density) - fine).mean()
            for steps in OTHER_STEPS}
    return found


def path_of(run: Run, diffuser: Diffuser) -> tuple[np.ndarray, np.ndarray]:
    """From noise to data, by Heun's method: levels (M,), and points at each of them, (M, STRIP, 2)."""
    params = jax.tree.map(lambda leaf: leaf[0], diffuser.params)
    path = begin(run, "sample", lambda params, key: diffuser.sampled(params, key, STRIP).path, params,
                 judging_keys(run)[0])
    return score_matching.edm_levels(len(path) - 2, diffuser.least_level, diffuser.most_level), np.asarray(path)
