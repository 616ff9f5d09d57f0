#!/bin/sh
# submitit sends a workload characterization key (wckey) with every job; None leaves it out for one of its executors only.
#
# Software   submitit 1.5.4 (Python 3.11)
# Guess      written down before: slurm_wckey=None leaves the line out, as None does for time, partition and account.
# Seen       AutoExecutor drops what is None before it hands it on, so that its default, `submitit`, is sent all the same;
#            among additional parameters None becomes the text `None`. SlurmExecutor, asked directly, leaves it out.
#            Clusters that account by such keys refuse jobs with an unknown one.
# Here       jobs are submitted through SlurmExecutor, without a key unless one is typed (docs/cluster.md).
# Needs      Python 3.10 or newer and a package index; no SLURM. Fails where the behaviour has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check submitit==1.5.4
mkdir "$place/bin"
printf '#!/bin/sh\n' > "$place/bin/srun"  # it only has to be there
chmod +x "$place/bin/srun"
cat > "$place/ask.py" <<'PYTHON'
import submitit
from submitit.slurm.slurm import SlurmExecutor


def sent(executor):
    text = executor._make_submission_file_text("true", "id")
    return [line.partition(" ")[2] for line in text.splitlines() if "wckey" in line]


auto = submitit.AutoExecutor(folder="logs", cluster="slurm")
print("AutoExecutor, nothing set:", sent(auto._executor))
auto.update_parameters(slurm_wckey=None)
print("AutoExecutor, slurm_wckey=None:", sent(auto._executor))
auto.update_parameters(slurm_additional_parameters={"wckey": None})
print("AutoExecutor, additional parameter None:", sent(auto._executor))
direct = SlurmExecutor(folder="logs")
direct.update_parameters(wckey=None)
print("SlurmExecutor, wckey=None:", sent(direct))
PYTHON
cd "$place"
PATH="$place/bin:$PATH" venv/bin/python ask.py | tee seen.txt
cat > expected.txt <<'TEXT'
AutoExecutor, nothing set: ['--wckey=submitit']
AutoExecutor, slurm_wckey=None: ['--wckey=submitit']
AutoExecutor, additional parameter None: ['--wckey=None']
SlurmExecutor, wckey=None: []
TEXT
diff expected.txt seen.txt && echo "as found"
