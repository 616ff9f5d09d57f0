"""How a run uses the machine: its ranks and their launch, signals, threads, devices and memory."""
