"""Python runs this when it starts with this folder in PYTHONPATH: then the tasks beside it are entreg's, too.

Where the environment names a file, a byte is added to it for each config that Hydra composes.
"""

import os
from pathlib import Path

import entreg.tasks

entreg.tasks.__path__.append(str(Path(__file__).parent / "tasks"))

if "COMPOSITIONS" in os.environ:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    compose = ConfigLoaderImpl.load_configuration

    def counted(*arguments, **named):
        with Path(os.environ["COMPOSITIONS"]).open("ab") as file:
            file.write(b".")
        return compose(*arguments, **named)

    ConfigLoaderImpl.load_configuration = counted
