"""The explorer's shell: what is at hand, completion, display, and edited files that reload themselves."""

import os
import re
import shutil

import pytest

import experiments
import sandbox
from experiments.desk.greeting import at_hand, greeting
from tests.experiments.desk.shell import ROOT, said_by


def test_it_greets_with_what_is_at_hand_in_a_narrow_terminal():
    said = greeting()
    assert max(map(len, said.splitlines())) < 80
    assert all(name in said for name in at_hand()) and {"jnp", "kalman", "score_matching"} < set(at_hand())
    assert re.search(r"^jax \S+ on (\d+ x )?cpu", said)


@pytest.mark.parametrize("name", [name for name in experiments.names() if name in sandbox.__all__])
def test_a_wing_says_its_objective_and_its_derivative_first(name):
    first, second = (getattr(sandbox, name).__doc__ or "").split("\n\n")[:2]
    assert re.search(r"[LV] = ", first + second) and re.search(r"∂", first + second)


def test_completion_offers_what_is_public_and_values_show_well(tmp_path):
    answer, said = said_by("""
        shell = get_ipython()
        tree = kalman.Gaussian(jnp.zeros(2), jnp.eye(2))
        completed = {text: [name.removeprefix(".") for name in shell.complete(text)[1]] for text in (
            "sandbox.", "sandbox.kalman.", "kalman.motion.", "experiments.", "experiments.kalman.",
            "experiments.tracking.tracker.", "jax.nn.softm")}
        shown = {name: shell.display_formatter.format(value)[0]["text/plain"] for name, value in {
            "small": jnp.zeros(2), "large": jnp.zeros((100, 20)), "tree": tree, "plain": {"a": 1.0},
            "odd": {"a": jax.random.key(0), 1: 2}}.items()}
        told = [shell.object_inspect_text(name) for name in ("kalman", "kalman.negative_log_likelihood")]
        refused = shell.run_cell("experiments.configure('kalman', steps=0)").success
        answer = [completed, shown, told, refused]
        """, tmp_path)
    completed, shown, (wing, loss), refused = answer
    assert completed["sandbox."] == sorted(sandbox.__all__) and completed["sandbox.kalman."] == sorted(
        sandbox.kalman.__all__)
    assert completed["kalman.motion."] == sorted(sandbox.kalman.motion.__all__)
    assert completed["experiments."] == sorted([*experiments.__all__, *experiments.names()])
    assert {"Config", "PRESETS", "run"} < set(completed["experiments.kalman."]) and not {
        "jax", "jnp", "partial", "RunConfig"} & set(completed["experiments.kalman."])
    assert completed["experiments.tracking.tracker."] == ["Tracker", "filter_and_smooth"]
    assert "softmax" in completed["jax.nn.softm"], "of others' modules everything"
    assert shown["small"] == "Array([0., 0.], dtype=float32)" and shown["plain"] == "{'a': 1.0}"
    assert shown["odd"].startswith("{'a': Array((), dtype=key<fry>)")
    assert "float32(100, 20)" in shown["large"] and "zero:2_000" in shown["large"]
    assert re.search(r"Gaussian\(\s*mean=<jax.Array\(\[0., 0.\]", shown["tree"])
    assert "∂L/∂r = a" in wing and "L = mean_w [ −log p(z_1..z_T) ]" in loss
    assert refused is False and "error: --steps must be at least 1, got 0" in said and "Traceback" not in said


def test_an_edited_file_answers_anew_by_every_name_compiled_or_not(tmp_path):
    for package in ("sandbox", "experiments"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    answer, _ = said_by("""
        import os
        from pathlib import Path

        shell = get_ipython()

        def edit(file, old, new):
            text = Path(file).read_text()
            assert text.count(old) == 1
            Path(file).write_text(text.replace(old, new))
            later = os.stat(file).st_mtime + 2
            os.utime(file, (later, later))

        def first(expression):
            return float(jnp.ravel(shell.run_cell(expression).result)[0])

        shell.run_cell("from sandbox.matrix_factorization import predict, Params")
        shell.run_cell("mf, compiled = matrix_factorization, jit(matrix_factorization.predict)")
        one_by_two = jnp.ones((1, 2))
        shell.run_cell("params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), one_by_two, one_by_two)")
        one = "(params, jnp.array([0]), jnp.array([0]))"
        names = ("predict", "mf.predict", "mf.model.predict", "sandbox.matrix_factorization.predict", "compiled")
        before = [first(name + one) for name in names]
        edit("sandbox/matrix_factorization/model.py", "return params.mean + ", "return 100 + params.mean + ")
        after = [first(name + one) for name in names]
        Path("sandbox/late.py").write_text("def scaled(x):\\n    return 2 * x\\n")
        shell.run_cell("from sandbox.late import scaled; of_late = jit(scaled); of_late(1.0)")
        edit("sandbox/late.py", "2 * x", "3 * x")
        after += [first("of_late(1.0)"), first("scaled(1.0)")]
        edit("experiments/kalman.py", '{"steps": 300}', '{"steps": 301}')
        answer = [sandbox.__file__, before, after, shell.run_cell(
            "isinstance(params, Params) and experiments.configure('kalman', 'full').steps").result]
        """, tmp_path, root=tmp_path)
    where, before, after, steps = answer
    assert where == os.path.join(tmp_path, "sandbox", "__init__.py")
    assert before == [5.0] * 5 and after == [105.0] * 5 + [3.0] * 2
    assert steps == 301
