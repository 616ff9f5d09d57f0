"""Tests, in rooms as those of entreg/."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # as many workers as cores: more threads would wait for each other. Read when PyTorch is loaded, here and in
    # the processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")
