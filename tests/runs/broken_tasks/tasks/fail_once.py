import functools

from entreg.distributed.launch import launch
from tests.runs import broken


def fail_once(config, folder):
    """Train, and fail in the second epoch; the second time go on."""
    return launch(functools.partial(broken.at_step, 4, 0, broken.break_once), config, folder)
