#!/bin/sh
# Hydra's record of what was chosen leaves out groups of which several options are chosen.
#
# Software   hydra-core 1.3.8, omegaconf 2.3.0 (Python 3.11)
# Guess      written down before: hydra.runtime.choices holds a list for a group that is a list in the defaults.
# Seen       it holds no entry for the group at all, whether the list comes from the defaults or was typed, while a
#            group with one option is there, and so is the same group once it is typed without brackets. Whoever asks
#            hydra.runtime.choices what a run was composed of (or loops over it to log them) does not hear of it.
# Here       the default of `ood` is one named option, so that a run can tell whether somebody chose (conf/config.yaml).
# Needs      Python 3.10 or newer and a package index. Fails where the behaviour has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check hydra-core==1.3.8 omegaconf==2.3.0
mkdir -p "$place/conf/set" "$place/conf/model"
printf 'defaults:\n  - set: [a, b]\n  - model: small\n  - _self_\n' > "$place/conf/config.yaml"
echo 'a: 1' > "$place/conf/set/a.yaml"
echo 'b: 2' > "$place/conf/set/b.yaml"
echo 'width: 3' > "$place/conf/model/small.yaml"
cat > "$place/app.py" <<'PYTHON'
import hydra
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg):
    choices = HydraConfig.get().runtime.choices
    print(sorted(cfg.set), {key: choices[key] for key in sorted(choices) if not key.startswith("hydra/")})


main()
PYTHON
cd "$place"
for words in "" "set=[b]" "set=b"; do
  venv/bin/python app.py $words hydra.run.dir=out hydra.output_subdir=null
done | tee seen.txt
cat > expected.txt <<'TEXT'
['a', 'b'] {'model': 'small'}
['b'] {'model': 'small'}
['b'] {'model': 'small', 'set': 'b'}
TEXT
diff expected.txt seen.txt && echo "as found"
