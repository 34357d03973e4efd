"""What this wing satisfies: Jacobians and gradients by hand, steady states, and one likelihood in four ways."""

import jax
import jax.numpy as jnp

from sandbox.identities import Identity, finite_difference
from sandbox.kalman import covariance, derivatives, motion, parallel, sensors, square_root
from sandbox.kalman.filter import Filtered, kalman_filter
from sandbox.kalman.linearise import Noise, Observation, Transition
from sandbox.kalman.model import Factored
from sandbox.kalman.small import product, product_transposed
from sandbox.kalman.smoother import rts_smoother

__all__ = ["IDENTITIES"]

STATES, MEASURED, ROWS = 3, 2, 5


def _normal(*shape):
    return lambda key, dtype: jax.random.normal(key, shape, dtype)


def _seconds(key, dtype):
    return jax.random.uniform(key, (), dtype, 0.01, 1.0)


def _turning_state(key, dtype):
    """A state whose turn rate is as often tiny as not, for that is where a formula loses its digits."""
    state_key, size_key = jax.random.split(key)
    state = jax.random.normal(state_key, (5,), dtype)
    return state.at[4].multiply(10.0 ** jax.random.randint(size_key, (), -6, 2))


def _offset(key, dtype):
    """Somewhere at 0.5 to 20 m, in any direction."""
    distance_key, angle_key = jax.random.split(key)
    angle = jax.random.uniform(angle_key, (), dtype, -3.1, 3.1)
    return jax.random.uniform(distance_key, (), dtype, 0.5, 20.0) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def _each(*draws):
    def draw(key, dtype):
        return tuple(one(one_key, dtype) for one, one_key in zip(draws, jax.random.split(key, len(draws))))
    return draw


def _factor(size):
    """A square factor of a covariance that is neither large nor nearly singular: I, and what has a norm below 1."""
    return lambda key, dtype: jnp.eye(size, dtype=dtype) + jax.random.uniform(key, (size, size), dtype, -0.3, 0.3)


def _linear_track(key, dtype):
    """A prior, and a linear model with a different F, G, H, N in each row."""
    keys = jax.random.split(key, 9)

    def rows(key, draw):
        return jax.vmap(lambda one: draw(one, dtype))(jax.random.split(key, ROWS))

    factor = rows(keys[0], _factor(MEASURED))
    noise = Noise(factor, jax.vmap(product_transposed)(factor, factor), jnp.ones((ROWS, MEASURED), bool))
    transitions = Transition(rows(keys[1], _normal(STATES)), rows(keys[2], _normal(STATES)),
                             rows(keys[3], _factor(STATES)), rows(keys[4], _factor(STATES)))
    observations = Observation(rows(keys[5], _normal(STATES)), rows(keys[6], _normal(MEASURED)),
                               rows(keys[7], _normal(MEASURED, STATES)), noise)
    prior_keys = jax.random.split(keys[8])
    prior = Factored(_normal(STATES)(prior_keys[0], dtype), _factor(STATES)(prior_keys[1], dtype))
    return prior, transitions, observations


def _negative_log_likelihood(filtered: Filtered):
    return -jnp.sum(filtered.innovation.log_likelihood)


def _scaled_likelihood(log_scales, prior, transitions, observations):
    """The likelihood with G scaled by e^a and N by e^b."""
    motion_scale, noise_scale = jnp.exp(log_scales)
    N = noise_scale * observations.noise.factor
    noise = observations.noise._replace(factor=N, covariance=jax.vmap(product_transposed)(N, N))
    return _negative_log_likelihood(kalman_filter(prior, transitions._replace(G=motion_scale * transitions.G),
                                                  observations._replace(noise=noise)))


def _score_by_smoother(prior, transitions, observations):
    filtered = kalman_filter(prior, transitions, observations)
    smoothed = rts_smoother(filtered, transitions)
    return jnp.stack(derivatives.fisher_score(filtered, smoothed, transitions, observations))


def _score_by_autodiff(prior, transitions, observations):
    zero = jnp.zeros(2, prior.mean.dtype)
    return jax.grad(_scaled_likelihood)(zero, prior, transitions, observations)


def _beliefs(filtered, smoothed):
    return (_negative_log_likelihood(filtered), filtered.updated.mean, filtered.updated.covariance,
            smoothed.rows.mean, smoothed.rows.covariance, smoothed.start.mean)


def _by_covariance(prior, transitions, observations):
    filtered = kalman_filter(prior, transitions, observations)
    return _beliefs(filtered, rts_smoother(filtered, transitions))


def _by_square_root(prior, transitions, observations):
    filtered = kalman_filter(prior, transitions, observations, form=square_root)
    return _beliefs(filtered, rts_smoother(filtered, transitions, form=square_root))


def _in_parallel(prior, transitions, observations):
    filtered = parallel.kalman_filter(prior, transitions, observations)
    return _beliefs(filtered, parallel.rts_smoother(filtered, transitions))


def _all_at_once(prior, transitions, observations):
    """−log N of all measurements stacked, their covariance formed from its definition."""
    mean, spread = prior.mean, prior.factor  # x_k = mean + spread (ε_0, ε_1, ..), a block of columns a row
    residuals, rows = [], []
    for k in range(ROWS):
        point, value, F, G = jax.tree.map(lambda leaf, k=k: leaf[k], transitions)
        mean, spread = value + product(F, mean - point), jnp.concatenate([product(F, spread), G], axis=1)
        point, residual, H, _ = jax.tree.map(lambda leaf, k=k: leaf[k], observations)
        residuals.append(residual - product(H, mean - point))
        rows.append(jnp.pad(product(H, spread), ((0, 0), (0, STATES * (ROWS + 1) - spread.shape[1]))))
    r, A = jnp.concatenate(residuals), jnp.concatenate(rows)
    S = A @ A.T + jax.scipy.linalg.block_diag(*observations.noise.covariance)
    return 0.5 * (r @ jnp.linalg.solve(S, r) + jnp.linalg.slogdet(S)[1] + len(r) * jnp.log(2 * jnp.pi))


def _variance_after_many_steps(q, r):
    """The prior variance of a random walk, by the filter's own moves."""
    one = jnp.ones((1, 1), q.dtype)
    N = jnp.sqrt(r) * one
    walk = Transition(0 * one[0], 0 * one[0], one, jnp.sqrt(q) * one)
    seen = Observation(0 * one[0], 0 * one[0], one, Noise(N, r * one, jnp.array([True])))
    start = covariance.begin(Factored(0 * one[0], one))

    def step(belief, _):
        return covariance.update(covariance.predict(belief, walk), seen)[0], None

    return covariance.predict(jax.lax.scan(step, start, length=400)[0], walk).covariance[0, 0]


def _gain_after_many_steps(dt_seconds, acceleration_std, position_std):
    """The gain of position and velocity, read off what an innovation of 1 m moves."""
    F = derivatives.constant_velocity_jacobian(dt_seconds, 1)
    G = acceleration_std * jnp.stack([dt_seconds**2 / 2, dt_seconds])[:, None]
    zero = jnp.zeros(2, F.dtype)
    N = position_std * jnp.ones((1, 1), F.dtype)
    move = Transition(zero, zero, F, G)
    seen = Observation(zero, jnp.ones(1, F.dtype), jnp.eye(1, 2, dtype=F.dtype), Noise(N, N**2, jnp.array([True])))

    def step(belief, _):
        return covariance.update(covariance.predict(belief._replace(mean=zero), move), seen)[0], None

    return jax.lax.scan(step, covariance.begin(Factored(zero, jnp.eye(2, dtype=F.dtype))), length=400)[0].mean


def _positive(low, high):
    return lambda key, dtype: jax.random.uniform(key, (), dtype, low, high)


def _innovation_grad_by_autodiff(residual, root):
    def nll(r, S):
        return 0.5 * (r @ jnp.linalg.solve(S, r) + jnp.linalg.slogdet(S)[1])

    return jax.grad(nll, argnums=(0, 1))(residual, root @ root.T)


def _sinc_by_autodiff(x):
    return jax.jvp(lambda x: jnp.sin(x) / x, (x,), (jnp.ones_like(x),))


IDENTITIES = (
    Identity("∂ constant_velocity", lambda x, dt: derivatives.constant_velocity_jacobian(dt),
             jax.jacfwd(motion.constant_velocity), _each(_normal(4), _seconds)),
    Identity("∂ constant_turn", derivatives.constant_turn_jacobian, jax.jacfwd(motion.constant_turn),
             _each(_turning_state, _seconds)),
    Identity("sin(x)/x and its slope where the series ends", derivatives._sinc, _sinc_by_autodiff,
             _each(_positive(0.047, 0.05)), tolerance=5e-13),  # all that the last term of the series leaves
    Identity("∂ constant_turn = by finite differences, uᵀ ∂f",
             lambda x, dt, u: u @ derivatives.constant_turn_jacobian(x, dt),
             lambda x, dt, u: finite_difference(lambda x: u @ motion.constant_turn(x, dt), x),
             _each(_normal(5), _seconds, _normal(5)), tolerance=1e-6, float32_tolerance=0.02),
    Identity("∂ unicycle", derivatives.unicycle_jacobian, jax.jacfwd(motion.unicycle),
             _each(_normal(3), _normal(2), _seconds)),
    Identity("∂ range_bearing_rate", derivatives.range_bearing_rate_jacobian,
             lambda p, v: jnp.concatenate(jax.jacfwd(sensors.range_bearing_rate, (0, 1))(p, v), axis=1),
             _each(_offset, _normal(2))),
    Identity("∂ beacon_range", lambda p, scale, bias: derivatives.beacon_range_jacobian(p, scale),
             lambda *inputs: jnp.concatenate([jnp.atleast_1d(part) for part in
                                              jax.jacfwd(sensors.beacon_range, (0, 1, 2))(*inputs)]),
             _each(_offset, _normal(), _normal())),
    Identity("∇ −log N(r; 0, S)", lambda r, root: derivatives.innovation_grad(r, root @ root.T),
             _innovation_grad_by_autodiff, _each(_normal(3), _factor(3)), float32_tolerance=1e-2),
    Identity("∇ likelihood = expected ∇ complete likelihood (Fisher)", _score_by_smoother, _score_by_autodiff,
             _linear_track, float32_tolerance=1e-2),
    Identity("likelihood by the filter = of all measurements at once",
             lambda *inputs: _negative_log_likelihood(kalman_filter(*inputs)), _all_at_once, _linear_track),
    Identity("square root = covariance", _by_square_root, _by_covariance, _linear_track),
    Identity("prefix sums = step by step", _in_parallel, _by_covariance, _linear_track, float32_tolerance=1e-2),
    Identity("steady state of a random walk", _variance_after_many_steps, derivatives.random_walk_variance,
             _each(_positive(0.1, 10.0), _positive(0.1, 10.0))),
    Identity("steady gain of position and velocity (α–β)", _gain_after_many_steps, derivatives.alpha_beta,
             _each(_positive(0.2, 1.0), _positive(0.5, 2.0), _positive(0.2, 2.0))),
)
