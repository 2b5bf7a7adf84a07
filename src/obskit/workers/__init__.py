"""Several workers, one service: they share a directory, and any of them shows all their metrics.

`obskit.configure` begins it where the setting ``workers_dir`` is given; no server and no process
needs a hook of its own.
"""

from obskit.workers._warning import warn_of_several_workers
from obskit.workers._worker import Worker

__all__ = ["Worker", "warn_of_several_workers"]
