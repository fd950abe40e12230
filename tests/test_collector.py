"""What a command imports is kept out of the garbage collector's way, and nothing else."""

import subprocess
import sys

SCRIPT = """
import gc, sys, types, weakref
from genjax import collector

usual, kept, seen = gc.get_threshold(), [], []
callbacks = list(gc.callbacks)
collector.spare_imports()
gc.callbacks.append(lambda phase, info: phase == "stop" and seen.append(info["generation"]))
for i in range(3):  # as an import does: a module, and many objects
    sys.modules[f"made_up_{i}"] = types.ModuleType("made_up")
    kept.append([[] for _ in range(12_000)])
assert set(seen) == {0} and len(seen) >= 3, seen
assert gc.get_freeze_count() >= 30_000
assert gc.get_threshold() != usual
kept.append([[] for _ in range(24_000)])  # no module comes with these
assert gc.get_threshold() == usual
assert gc.callbacks[:-1] == callbacks

class Node: pass
a, b = Node(), Node()
a.other, b.other, gone = b, a, weakref.ref(a)
del a, b
gc.collect()
assert gone() is None, "what comes after is collected as before"
print("held")
"""


def test_imports_are_set_apart_and_what_comes_after_is_collected():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout == "held\n", done.stderr


def test_a_command_spares_them_and_a_call_from_python_leaves_the_collector_alone():
    script = """
import gc, sys
from genjax.cli import main
usual = gc.get_threshold()
assert main(["--version"]) == 0 and gc.get_threshold() == usual and not gc.callbacks
sys.argv = ["genjax", "--version"]
assert main() == 0 and gc.get_threshold() != usual and gc.callbacks
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
