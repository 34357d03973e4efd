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
from experiments.diffusing.objectives import OBJECTIVES
from experiments.diffusing.recipes import Recipe
from experiments.diffusing.sampling import sampling_levels
from experiments.diffusing.subject import Subject, Verdict
from experiments.runner.errors import UserError
from experiments.runner.loop import begin, spending
from experiments.runner.progress import say
from experiments.runner.run import Run
from experiments.runner.seeds import JUDGING, judging_keys
from experiments.runner.summary import Reference
from sandbox import score_matching, two_sample

MEASURED, TESTED, EXACTLY_TESTED, COMPARED = 1_000_000, 10_000, 2000, 5000  # points
EVALUATIONS, MANY, OTHER_STEPS = (10, 18, 35), 1000, (4, 6, 9, 13)
PROJECTIONS = 8  # of Hutchinson's trace
STEPS, EXACT_STEPS = 24, 12  # of a likelihood, and of one of a score that is known
STRIP = 2000  # points
OTHERS = 8  # draws of true points that are held against true points
FINE, COARSE = 1e-8, (1e-2, 1e-3, 1e-4, 1e-5)  # tolerances of the adaptive solver
DRAWS = ("measure", "test", "exact", "signs", "truth", "others")  # each by a key of its own
OURS = "at most, a target of ours"
REFERENCES = {"kl_nats": Reference(0.01, OURS), "nll_error_nats": Reference(1e-3, OURS),
              **{f"kl_nats_{name}": Reference(0.03, OURS) for name in OBJECTIVES}}


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
    drawn = np.asarray(plane.draw(_key("measure"), MEASURED), np.float64)
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
    names, first, seeds = list(diffusers), next(iter(diffusers.values())), run.config.seeds
    test = plane.draw(_key("test"), TESTED)
    nats = nats_of(run, diffusers, test)
    if plane.log_density is not None:  # of the truth, KL in place of the negative log-likelihood
        nats += np.asarray(plane.log_density(test), np.float64).mean()
    kind = "nll_nats" if plane.log_density is None else "kl_nats"
    reached = {kind if name == names[0] else f"{kind}_{name}": own for name, own in zip(names, nats)}
    text = f"By {', '.join(names)}: {len(names)} x {seeds} scores of {first.num_parameters:,} parameters."
    with spending(run, "judge"):
        drawn = {"field": point_figures.field(first, plane), "making": point_figures.making(*path_of(run, first))}
    if plane.mixture is not None:
        exact = of_exact_score(run, plane.mixture, first)
        reached |= {name: np.full(seeds, value) for name, value in exact.items()}
    if compare:
        distances, of_truth = samplers_compared(run, first, plane, compare)
        reached |= {f"mmd_{sampler}_{asked}": mmd for (sampler, asked), mmd in distances.items()}
        noise = 2 * np.std(of_truth, ddof=1)
        errors = likelihoods_by_evaluations(run, first, test[:EXACTLY_TESTED])
        drawn["evaluations"] = point_figures.by_evaluations(errors, distances, noise)
        text += (f"\nmmd_SAMPLER_N: squared, of {COMPARED:,} samples, at most N evaluations of the score by {names[0]} "
                 f"each, to as many true points;\nof true points to others it is 0 ± {noise:.4f}, twice the standard "
                 f"deviation of {len(of_truth)} draws.")
    return Verdict(reached, REFERENCES if plane is RING else {}, drawn, text)


def nats_of(run: Run, diffusers: Mapping[str, Diffuser], test: jax.Array) -> np.ndarray:
    """Negative log-likelihood of points, of each objective and seed, (objectives, K): all in one program."""
    first = next(iter(diffusers.values()))
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one.params for one in diffusers.values()))
    log_q = begin(run, "judge", lambda params, x: jax.lax.map(lambda of_seeds: jax.lax.map(
        lambda one: first.likelihood(one, x, steps=STEPS).log_density, of_seeds), params), params, test)
    return -np.asarray(log_q, np.float64).mean(axis=2)


def of_exact_score(run: Run, mixture: score_matching.GaussianMixture, diffuser: Diffuser) -> dict[str, float]:
    """How far likelihoods by the flow are from closed form, of a score that is known, in nats: by the exact trace; and
    by Hutchinson's, with the share of points at which it is within twice its own standard error."""
    x = score_matching.draw_mixture(_key("exact"), mixture, EXACTLY_TESTED)
    signs = score_matching.draw_projections(_key("signs"), x.shape, PROJECTIONS)

    def found(x, projections):
        by_flow = partial(score_matching.log_likelihood, x, levels=diffuser.likelihood_levels(EXACT_STEPS),
                          score_fn=partial(score_matching.mixture_score, mixture=mixture),
                          sigma_data=diffuser.sigma_data, mean=diffuser.mean)
        return by_flow(), by_flow(projections=projections)

    exact, estimated = begin(run, "judge", found, x, signs)
    truth = np.asarray(score_matching.mixture_log_density(
        x, score_matching.noised(mixture, diffuser.least_level)), np.float64)
    away = np.abs(np.asarray(estimated.log_density) - truth)
    return {"nll_error_nats": np.abs(np.asarray(exact.log_density) - truth).mean(),
            "nll_error_hutchinson_nats": away.mean(),
            "within_two_standard_errors": (away <= 2 * np.asarray(estimated.standard_error)).mean()}


def samplers_compared(run: Run, diffuser: Diffuser, plane: Plane, compare: tuple[str, ...]
                      ) -> tuple[dict[tuple[str, int], np.ndarray], np.ndarray]:
    """Squared maximum mean discrepancy of samples to true points, (K,) of each sampler and number of evaluations; and
    of true points to others, several times over: without bias, so that it may be below 0."""
    truth = plane.draw(_key("truth"), COMPARED)
    asked = [(sampler, evaluations) for sampler in compare for evaluations in EVALUATIONS]
    asked += [("euler-maruyama", MANY)] if "euler-maruyama" in compare else []

    def distances(params, keys, truth, *, sampler, evaluations):
        def of_seed(one):
            samples = diffuser.sampled(one[0], one[1], COMPARED, sampler=sampler, evaluations=evaluations).samples
            return two_sample.energy_distance(samples, truth)

        return jax.lax.map(of_seed, (params, keys))

    keys = judging_keys(run.config)
    return {(sampler, evaluations): np.asarray(begin(
        run, "sample", partial(distances, sampler=sampler, evaluations=evaluations), diffuser.params, keys,
        truth)) for sampler, evaluations in asked}, np.asarray(begin(run, "sample", lambda keys, truth: jax.lax.map(
            lambda key: two_sample.energy_distance(plane.draw(key, COMPARED), truth), keys),
            jax.random.split(_key("others"), OTHERS), truth))


def likelihoods_by_evaluations(run: Run, diffuser: Diffuser, x: jax.Array) -> dict[str, dict[int, float]]:
    """Mean absolute error in nats of the first seed's likelihoods, by evaluations, to diffrax's adaptive solver at a
    fine tolerance: of fixed steps with the exact trace, of Hutchinson's, and of the adaptive solver at coarser ones.
    Nothing where the solver does not converge: for a figure no run is lost."""
    params = jax.tree.map(lambda leaf: leaf[0], diffuser.params)
    try:
        with spending(run, "judge"):
            fine, *coarse = (adaptive_log_density(diffuser, x, tolerance=tolerance) for tolerance in (FINE, *COARSE))
    except UserError as error:
        say(f"Likelihoods are not shown by evaluations: {error}")
        return {}
    found = {"adaptive": {one.evaluations: np.abs(one.log_density - fine.log_density).mean() for one in coarse}}
    for name, projections in (("fixed steps", 0), ("fixed steps, Hutchinson", PROJECTIONS)):
        found[name] = {4 * steps: np.abs(np.asarray(begin(run, "judge", partial(
            diffuser.likelihood, steps=steps, projections=projections, key=_key("signs")), params, x).log_density)
            - fine.log_density).mean() for steps in OTHER_STEPS}
    return found


def path_of(run: Run, diffuser: Diffuser) -> tuple[np.ndarray, np.ndarray]:
    """From noise to data: levels (M,), and points at each of them, (M, STRIP, 2)."""
    params = jax.tree.map(lambda leaf: leaf[0], diffuser.params)
    path = begin(run, "sample", lambda params, key: diffuser.sampled(params, key, STRIP).path, params,
                 judging_keys(run.config)[0])
    return sampling_levels(len(path) - 1, diffuser.least_level, diffuser.most_level), np.asarray(path)


def _key(name: str) -> jax.Array:
    return jax.random.fold_in(jax.random.key(JUDGING), DRAWS.index(name))
