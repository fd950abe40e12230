"""The other side's worker on an accelerator: runs a PyTorch worker that was written for the CPU on the device.

Command:  python -m experiments.accelerator.peer FOLDER WORKLOAD MODE [--cl] [--bf16] [--device cuda]
FOLDER has `torch_worker.py`, which ends with `serve(name, call, images_per_call, **meta)` of its `benchproto.py`.
Tensors are made on the device, a slice ends when the device is done, and float32 products may run in TF32, as those of
JAX do at its default precision.
"""

import argparse
import contextlib
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

PLACE = "GENJAX_PEER_PLACE"
"""How tensors get to the device: "type", which costs nothing, or where that fails "device", which costs each call."""
READY: list[str] = []
"""The worker's name, once it has trained: what fails later is no question of the place."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("workload")
    parser.add_argument("mode", choices=("eager", "compile"))
    parser.add_argument("--cl", action="store_true", help="channels last")
    parser.add_argument("--bf16", action="store_true", help="under autocast")
    parser.add_argument("--device", default="cuda")
    args, words = parser.parse_args(), sys.argv[1:]
    import torch  # pyrefly: ignore

    sys.path.insert(0, str(args.folder))
    place(torch, args.device)
    import benchproto  # pyrefly: ignore

    benchproto.serve = served(torch, benchproto.serve, args.device)
    sys.argv = ["torch_worker.py", args.workload, args.mode, *(["--cl"] if args.cl else [])]
    half = torch.autocast(args.device, torch.bfloat16) if args.bf16 else contextlib.nullcontext()
    try:
        with half:
            runpy.run_path(str(args.folder / "torch_worker.py"), run_name="__main__")
    except Exception:
        if READY or args.device == "cpu" or os.environ.get(PLACE) == "device":
            raise
        words = [sys.executable, "-m", "experiments.accelerator.peer", *words]
        os.execve(sys.executable, words, os.environ | {PLACE: "device"})


def place(torch: Any, device: str) -> None:
    """Makes new tensors on the device."""
    if device == "cpu":
        return
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    if os.environ.get(PLACE, "type") == "type":
        torch.set_default_tensor_type("torch.cuda.FloatTensor")
    else:
        torch.set_default_device(device)


def served(torch: Any, serve: Any, device: str) -> Any:
    """`serve` that waits for the device, and says how much of its memory was used."""

    def sync() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def serving(name: str, call: Any, images_per_call: int, **meta: Any) -> None:
        start = time.perf_counter()
        call()
        sync()
        meta["first_call_s"] = round(time.perf_counter() - start, 3)
        for _ in range(2):
            call()
        sync()
        if device != "cpu":
            meta["device_peak_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        READY.append(name)
        serve(name, call, images_per_call, sync=sync, **meta)

    return serving


if __name__ == "__main__":
    main()
