import functools

from entreg.distributed.launch import launch
from tests.runs import broken


def fail_on_last_rank(config, folder):
    """Train, and fail on the last rank at the second step."""
    return launch(functools.partial(broken.at_step, 1, config.hardware.devices - 1, broken.break_), config, folder)
