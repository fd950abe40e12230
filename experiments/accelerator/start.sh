#!/bin/sh
# Runs experiments/accelerator/run.py without a network: ./start.sh [--minutes 8] [--only PART ...]
# The kit lies in build/accelerator-kit of the checkout, or GENJAX_ROOT names the checkout. PYTHON chooses the interpreter.
set -eu
KIT=$(cd "$(dirname "$0")" && pwd)
ROOT=${GENJAX_ROOT:-$(cd "$KIT/../.." && pwd)}
PYTHON=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --no-cache-dir \
  --upgrade --target "$site" "$KIT"/wheels/*.whl
export GENJAX_KIT="$KIT"
export PYTHONPATH="$ROOT:$site${PYTHONPATH:+:$PYTHONPATH}"
"$PYTHON" "$ROOT/experiments/accelerator/run.py" "$@"
