"""dynamax's and filterpy's half of the filters' benchmark, for an interpreter that has them."""

# pyright: reportMissingImports=false
import time
import warnings

import numpy as np

from experiments.benchmarks.side import compiled, serve, timed


def dynamax_linear(file, *, cases, repeats):
    """Constant velocity, position measured: dynamax's filter for linear models.

    Its filter in parallel is left out: in 10,000 steps on two CPU cores it never comes back (jaxlib 0.10.2).
    """
    import jax.numpy as jnp
    from dynamax.linear_gaussian_ssm import inference, lgssm_filter, lgssm_smoother

    n, m = len(file["mean"]), len(file["R"])
    params = inference.ParamsLGSSM(
        initial=inference.ParamsLGSSMInitial(file["mean"], file["covariance"]),
        dynamics=inference.ParamsLGSSMDynamics(file["F"], jnp.zeros(n), jnp.zeros((n, 0)), file["Q"]),
        emissions=inference.ParamsLGSSMEmissions(file["H"], jnp.zeros(m), jnp.zeros((m, 0)), file["R"]))

    def begin(covariance):
        return params._replace(initial=params.initial._replace(cov=covariance))

    return _dynamax_report(file, cases, repeats, lambda z, P: lgssm_filter(begin(P), z),
                           lambda z, P: lgssm_smoother(begin(P), z))


def dynamax_nonlinear(file, *, cases, repeats):
    """Constant turn rate and velocity, seen by a radar; dynamax's residuals know nothing of angles."""
    import jax.numpy as jnp
    from dynamax.nonlinear_gaussian_ssm import ParamsNLGSSM, extended_kalman_filter, extended_kalman_smoother

    dt_seconds = float(file["dt_seconds"])

    def motion(state):
        x, y, speed, heading, rate = state
        half = rate * dt_seconds / 2
        chord = speed * dt_seconds * jnp.sinc(half / jnp.pi)
        return jnp.stack([x + chord * jnp.cos(heading + half), y + chord * jnp.sin(heading + half), speed,
                          heading + 2 * half, rate])

    def observe(state):
        x, y, speed, heading, _ = state
        distance = jnp.sqrt(x**2 + y**2)
        approach = speed * (x * jnp.cos(heading) + y * jnp.sin(heading)) / distance
        return jnp.stack([distance, jnp.arctan2(y, x), approach])

    params = ParamsNLGSSM(
        initial_mean=jnp.asarray(file["mean"]), initial_covariance=jnp.asarray(file["covariance"]),
        dynamics_function=motion, dynamics_covariance=file["Q"],
        emission_function=observe, emission_covariance=file["R"])
    outputs = ["filtered_means", "filtered_covariances"]  # and no more than we give

    def begin(covariance):
        return params._replace(initial_covariance=covariance)

    return _dynamax_report(
        file, cases, repeats, lambda z, P: extended_kalman_filter(begin(P), z, output_fields=outputs),
        lambda z, P: extended_kalman_smoother(begin(P), z))


def _dynamax_report(file, cases, repeats, filter_, smoother):
    """As ours, but without cases that dynamax has not got. Each of many tracks has a covariance of its own."""
    import jax

    def filtered(z, covariance):
        posterior = filter_(z, covariance)
        return posterior.marginal_loglik, posterior.filtered_means, posterior.filtered_covariances

    def smoothed(z, covariance):
        posterior = smoother(z, covariance)
        return posterior.marginal_loglik, posterior.smoothed_means, posterior.smoothed_covariances

    many = file["measurement"], np.repeat(file["covariance"][None], len(file["measurement"]), axis=0)
    one = many[0][0], many[1][0]
    functions = {"filter": (filtered, one), "smoother": (smoothed, one), "many": (jax.vmap(filtered), many)}
    report = {}
    for case in cases:
        if case in functions:
            function, arguments = functions[case]
            compile_seconds, run = compiled(function, *arguments)
            (_, (log_likelihood, *_)), *runs = [timed(run, *arguments) for _ in range(repeats + 1)]
            report[case] = {"compile_seconds": compile_seconds, "seconds": [seconds for seconds, _ in runs],
                            "log_likelihood": float(log_likelihood.sum())}
    return report


def filterpy_linear(file, *, repeats):
    """Constant velocity, position measured."""
    from filterpy.kalman import KalmanFilter

    def begin():
        kalman = _begin(KalmanFilter, file)
        kalman.F, kalman.H = file["F"], file["H"]
        return kalman

    return _filterpy_report(file, repeats, begin, lambda kalman, z: kalman.update(z))


def filterpy_nonlinear(file, *, repeats):
    """Constant turn rate and velocity, seen by a radar, the Jacobians by hand."""
    from filterpy.kalman import ExtendedKalmanFilter

    dt_seconds = float(file["dt_seconds"])

    class Turning(ExtendedKalmanFilter):
        def predict_x(self, u=0):
            self.x, self.F = _turn(self.x, dt_seconds)

    def update(kalman, z):
        value, jacobian = _radar(kalman.x)
        kalman.update(z, lambda _: jacobian, lambda _: value)

    return _filterpy_report(file, repeats, lambda: _begin(Turning, file), update)


def _begin(kind, file):
    kalman = kind(dim_x=len(file["mean"]), dim_z=len(file["R"]))
    kalman.x, kalman.P, kalman.Q, kalman.R = (file[name].copy() for name in ("mean", "covariance", "Q", "R"))
    return kalman


def _filterpy_report(file, repeats, begin, update):
    """Seconds of the filter alone; its log-likelihood, which costs it extra, from one more pass."""
    def run(note):
        kalman = begin()
        for k, z in enumerate(file["measurement"][0]):
            if k:
                kalman.predict()
            update(kalman, z)
            note(kalman)

    seconds, log_likelihood = [], []
    for _ in range(repeats):
        clock = time.perf_counter()
        run(lambda kalman: None)
        seconds.append(time.perf_counter() - clock)
    run(lambda kalman: log_likelihood.append(float(kalman.log_likelihood)))
    return {"filter": {"seconds": seconds, "log_likelihood": float(np.sum(log_likelihood))}}


def _turn(state, dt_seconds):
    """The motion, and its Jacobian."""
    x, y, speed, heading, rate = state
    half = rate * dt_seconds / 2
    sinc = np.sinc(half / np.pi)
    slope = (np.cos(half) - sinc) / half if abs(half) > 1e-6 else 0.0  # d sinc / d half
    cos, sin = np.cos(heading + half), np.sin(heading + half)
    chord = speed * dt_seconds * sinc
    by_rate = speed * dt_seconds**2 / 2
    jacobian = np.array([
        [1, 0, dt_seconds * sinc * cos, -chord * sin, by_rate * (slope * cos - sinc * sin)],
        [0, 1, dt_seconds * sinc * sin, chord * cos, by_rate * (slope * sin + sinc * cos)],
        [0, 0, 1, 0, 0], [0, 0, 0, 1, dt_seconds], [0, 0, 0, 0, 1]])
    return np.array([x + chord * cos, y + chord * sin, speed, heading + 2 * half, rate]), jacobian


def _radar(state):
    """The measurement, and its Jacobian."""
    x, y, speed, heading, _ = state
    distance, cos, sin = np.hypot(x, y), np.cos(heading), np.sin(heading)
    along, across = (x * cos + y * sin) / distance, (y * cos - x * sin) / distance
    value = np.array([distance, np.arctan2(y, x), speed * along])
    jacobian = np.array([
        [x / distance, y / distance, 0, 0, 0],
        [-y / distance**2, x / distance**2, 0, 0, 0],
        [speed * across * y / distance**2, -speed * across * x / distance**2, along, speed * across, 0]])
    return value, jacobian


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # dynamax's own dependencies warn
    import jax

    jax.config.update("jax_enable_x64", True)
    serve({"dynamax_linear": dynamax_linear, "dynamax_nonlinear": dynamax_nonlinear,
           "filterpy_linear": filterpy_linear, "filterpy_nonlinear": filterpy_nonlinear})
