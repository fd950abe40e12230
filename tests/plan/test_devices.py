"""The table of devices is whole, and its reader refuses what it lacks."""

import dataclasses

import pytest

from genjax.errors import UsageError
from genjax.plan.devices import DEVICES, find, name_of_kind


@pytest.mark.parametrize("name", list(DEVICES))
def test_each_device_has_figures_and_sources(name):
    d = DEVICES[name]
    assert d.sources
    assert d.assumed
    assert 1e14 < d.matrix["bfloat16"] < 1e16
    assert d.matrix_rate("float32:highest") < d.matrix_rate("float32") <= d.matrix_rate("bfloat16")
    assert 15e9 < d.memory < 300e9
    assert 5e11 < d.bandwidth[0][1] < 1e13
    assert d.network < d.link < d.bandwidth[0][1]
    assert d.latency[0] < d.latency[1]


def test_names():
    assert find("H100") is DEVICES["h100"]
    assert find("trillium") is DEVICES["v6e"]
    with pytest.raises(UsageError, match=r"device=h1000: not known\. Did you mean h100"):
        find("h1000")
    with pytest.raises(UsageError, match="Known: cpu, h100"):
        find("abacus")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("TPU v4", "v4"), ("TPU v5", "v5p"), ("TPU v5p", "v5p"), ("TPU v5 lite", "v5e"), ("TPU v6 lite", "v6e"),
        ("NVIDIA A100-SXM4-80GB", "a100"), ("NVIDIA H200", "h200"), ("cpu", "cpu"), ("NVIDIA L4", None),
    ],
)  # fmt: skip
def test_kinds_as_jax_names_them(kind, name):
    assert name_of_kind(kind) == name


def test_a_matrix_unit_is_filled_by_whole_tiles():
    d = dataclasses.replace(DEVICES["v5e"], tile=(128.0, 128.0))
    assert d.fill(128, 256) == 1
    assert d.fill(64, 128) == pytest.approx(0.5)
    assert d.fill(129, 1) == pytest.approx(129 / 256 / 128)


def test_bandwidth_by_distance():
    d = dataclasses.replace(DEVICES["v5e"], bandwidth=((10.0, 4.0), (100.0, 2.0)))
    assert [d.bandwidth_at(x) for x in (1, 10, 11, 1000)] == [4, 4, 2, 2]
