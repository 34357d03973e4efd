"""What a machine has and jax leaves unused is called out; programs are kept where one says, by versions and host."""

import jax
import pytest

from experiments.runner import devices

PCI = "sys/bus/pci/devices/0000:00:04.0"


@pytest.mark.parametrize("signs, name, extra", [
    ({"proc/driver/nvidia/gpus/0000:01:00.0": ""}, "GPU of NVIDIA", "EXTRAS=cuda"),
    ({"dev/nvidia0": ""}, "GPU of NVIDIA", "EXTRAS=cuda"),
    ({"dev/accel0": ""}, "TPU", "EXTRAS=tpu"),
    ({f"{PCI}/vendor": "0x1ae0\n", f"{PCI}/device": "0x0063\n"}, "TPU", "EXTRAS=tpu"),
])
def test_an_accelerator_that_is_not_used_is_called_out(tmp_path, monkeypatch, signs, name, extra):
    monkeypatch.delenv("JAX_PLATFORMS")
    assert devices.unused_accelerator(tmp_path) is None
    for sign, text in signs.items():
        (tmp_path / sign).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / sign).write_text(text)
    said = devices.unused_accelerator(tmp_path)
    assert f"a {name}, and jax computes on the CPU" in said and extra in said
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert devices.unused_accelerator(tmp_path) is None


def test_another_card_of_google_is_no_tpu(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS")
    (tmp_path / PCI).mkdir(parents=True)
    (tmp_path / PCI / "vendor").write_text("0x1ae0\n")
    (tmp_path / PCI / "device").write_text("0x0042\n")  # a network card
    assert devices.unused_accelerator(tmp_path) is None


def test_precision_is_what_matrix_products_ask_for():
    def asked():
        [product] = jax.make_jaxpr(lambda x: x @ x)(jax.numpy.ones((2, 2))).eqns
        return product.params["precision"]

    before = asked()
    for precision, wanted in (("high", jax.lax.Precision.HIGH), ("highest", jax.lax.Precision.HIGHEST)):
        with devices.at_precision(precision):
            assert set(asked()) == {wanted}
    with devices.at_precision("default"):
        assert asked() == before


def test_programs_are_kept_apart_by_versions_and_host(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    try:
        monkeypatch.setattr(devices.platform, "node", lambda: "one")
        one = devices.keep_programs(tmp_path)
        monkeypatch.setattr(devices.platform, "node", lambda: "another")
        assert devices.keep_programs(tmp_path) != one
        assert jax.__version__ in str(one.relative_to(tmp_path))
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / one.relative_to(tmp_path).parent / "another")
    finally:
        for name, value in zip(("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"), before):
            jax.config.update(name, value)
