"""Child of the kill tests: saves steps in a loop, says which it began and which it knows sealed, may die at a point.

    python saver.py FOLDER N_STEPS [POINT AT_STEP]

Points: commit (Orbax done, nothing fsynced), seal (about to write the seal), sealed (just written, nothing retired),
discard (an old step renamed away, not yet removed).
"""

import os
import signal
import sys

import numpy as np

from genjax.checkpoint import folders, seal
from genjax.checkpoint.checkpoints import Checkpoints


def state(step: int) -> dict:
    """About 0.4 MB that only `step` determines; incompressible."""
    rng = np.random.default_rng(step)
    return {"w": {str(i): rng.normal(size=(50, 250)).astype(np.float32) for i in range(8)}, "step": step}


def die_at(point: str, at: int) -> None:
    """Kill this process at the named point of saving step `at`."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    write, write_durably = seal.write, seal.write_durably

    def dying_write(folder, body):
        if body["step"] == at and point == "commit":
            die()
        write(folder, body)
        if body["step"] == at and point == "sealed":
            die()

    def dying_write_durably(path, content):
        if path.parent.name == str(at) and point == "seal":
            path.parent.joinpath(".seal.json.tmp-1").write_bytes(content[:100])
            die()
        write_durably(path, content)

    def dying_discard(folder, step, mark):
        (folder / folders.TRASH).mkdir(exist_ok=True)
        os.rename(folder / str(step), folder / folders.TRASH / str(step))
        next((folder / folders.TRASH / str(step) / "state").iterdir()).unlink()  # the seal goes last
        die()

    seal.write, seal.write_durably = dying_write, dying_write_durably
    if point == "discard":
        folders.discard = dying_discard


def main() -> None:
    folder, n_steps = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        die_at(sys.argv[3], int(sys.argv[4]))
    with Checkpoints(folder) as checkpoints:
        restored = checkpoints.restore(state(0))
        done = restored.step if restored else 0
        print("ready", done, flush=True)
        for step in range(done + 1, done + n_steps + 1):
            checkpoints.save(step, state(step), {"square": step * step})
            print("sealed", max(checkpoints.sealed(), default=None), flush=True)
            print("saving", step, flush=True)


if __name__ == "__main__":
    main()
