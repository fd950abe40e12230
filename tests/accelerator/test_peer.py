"""The other side's worker on a device: tensors are there, slices end with the device, a failure is tried again."""

import json
import subprocess
import sys

import pytest

TORCH = """
import contextlib, os
class cuda:
    synchronize = staticmethod(lambda: placed.append("sync"))
    max_memory_allocated = staticmethod(lambda: 3 * 2**20)
class backends:
    class cudnn: benchmark = False
placed = []
bfloat16 = "bf16"
def set_float32_matmul_precision(p): placed.append(p)
def set_default_tensor_type(t):
    placed.append("type")
def set_default_device(d): placed.append(d)
def autocast(device, dtype):
    placed.append((device, dtype))
    return contextlib.nullcontext()
"""
PROTOCOL = """
import json
def serve(name, call, images_per_call, sync=None, **meta):
    import torch
    call(); sync()
    print(json.dumps({"ready": name, "placed": torch.placed, **meta}))
"""
WORKER = """
import sys, torch
from benchproto import serve
def call():
    if sys.argv[1] == "broken":
        raise ValueError("no such layer")
    if "type" in torch.placed and sys.argv[1] == "hard":
        raise RuntimeError("expected all tensors to be on one device")
serve(" ".join(sys.argv[1:]), call, 5, torch="2")
"""


@pytest.fixture
def peer(tmp_path, child_env):
    """`peer(*words)`: what a peer's worker says."""
    for name, text in (("torch", TORCH), ("benchproto", PROTOCOL), ("torch_worker", WORKER)):
        (tmp_path / f"{name}.py").write_text(text)

    def run(workload, *words):
        command = [sys.executable, "-m", "experiments.accelerator.peer", str(tmp_path), workload, *words]
        env = child_env | {"PYTHONPATH": f"{child_env['PYTHONPATH']}:{tmp_path}"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run


def test_on_the_cpu_it_is_as_it_was(peer):
    said = peer("w1", "eager", "--cl", "--device", "cpu")
    assert said["ready"] == "w1 eager --cl"
    assert said["placed"] == []
    assert "device_peak_mib" not in said


def test_on_a_device(peer):
    said = peer("w1", "compile", "--bf16")
    assert said["placed"][:3] == ["high", "type", ["cuda", "bf16"]]
    assert said["placed"].count("sync") == 3
    assert said["device_peak_mib"] == 3.0


def test_where_the_cheap_way_fails_the_other_is_taken(peer):
    said = peer("hard", "eager")
    assert said["placed"][:2] == ["high", "cuda"]
    assert said["ready"] == "hard eager"


def test_what_fails_either_way_is_said(peer):
    with pytest.raises(subprocess.CalledProcessError) as e:
        peer("broken", "eager")
    assert "no such layer" in e.value.stderr
