"""Python runs this when it starts with this folder in PYTHONPATH: then the tasks beside it are entreg's, too."""

from pathlib import Path

import entreg.tasks

entreg.tasks.__path__.append(str(Path(__file__).parent / "tasks"))
