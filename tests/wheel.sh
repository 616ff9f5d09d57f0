#!/usr/bin/env bash
# Build the wheel and the source distribution, install the wheel in an environment of its own, and train in a folder
# that knows nothing of the checkout: tests/wheel.sh PYTHON, where PYTHON has the packages that entreg needs.
set -euo pipefail
python=$(realpath -s "$1")
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m build -q --outdir "$place/dist" .
tar -xzOf "$place"/dist/entreg-*.tar.gz --wildcards "*/conf/config.yaml" > /dev/null
"$python" -m venv --without-pip "$place/venv"
# the packages that entreg needs are the checkout's; entreg itself must come from the wheel
site=$("$place/venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
"$python" -c 'import sys; print(*(path for path in sys.path if "site-packages" in path), sep="\n")' > "$site/packages.pth"
"$python" -m pip install -q --disable-pip-version-check --no-deps --target "$site" "$place"/dist/entreg-*.whl
cd "$place"
unset PYTHONPATH
entreg=("$place/venv/bin/python" "$site/bin/entreg")
"$place/venv/bin/python" -c "import entreg, sys; assert entreg.__file__.startswith('$site'), entreg.__file__"
"${entreg[@]}" --version
# the wheel is built from the source distribution, which must have all sources of the compiled step
if command -v cc > /dev/null; then
  "$place/venv/bin/python" -c "from entreg.model.step_library import available; assert available()"
fi
small=(data.images=20 ood.synthetic_ood.images=6 data.folds=4 trainer.batch_size=6 uniform.images=4 trainer.epochs=2
  {data,ood.synthetic_ood}.{long_side_px=192,short_side_px=144} "paths.store=$place/store")
"${entreg[@]}" loss=nll_entropy study=mine "${small[@]}"
test -f outputs/mine/checkpoints/final.pt
"${entreg[@]}" evaluate outputs/mine "paths.store=$place/store"
# the wheel and a run's folder are all that a prediction needs: no data, no features, no checkout
mkdir "$place/elsewhere"
mv outputs/mine "$place/elsewhere/run"
rm -rf outputs multirun
mv "$place/store" "$place/kept"
cp "$(find "$place/kept/synthetic" -name '*.png' | sort | head -n 1)" "$place/elsewhere/photo.png"
cd "$place/elsewhere"
"$place/venv/bin/python" -c "
import numpy as np, entreg
density = entreg.load('run').log_density('photo.png')
assert abs(np.exp(density).sum() - 1) < 1e-6 and density.std() > 0.01, density
"
mkdir photos
mv photo.png photos
"${entreg[@]}" task=predict run=run images=photos study=predicted
test -f outputs/predicted/log_densities/photo.png.npz
cd "$place"
mv "$place/kept" "$place/store"
"$place/venv/bin/python" -m entreg train study=again "${small[@]}"
test -f outputs/again/checkpoints/final.pt
echo "1 passed, 0 failed"
