from entreg.distributed.launch import launch
from tests.runs import broken


def wait_in_build(config, folder):
    """Train, and wait within the build of the features until SLURM ends or signals the job; the second time go on."""
    return launch(broken.with_a_wait_in_the_build, config, folder)
