"""Hydra's launchers that train the runs of a sweep together. Hydra 1.3 finds launchers in `hydra_plugins` alone."""
