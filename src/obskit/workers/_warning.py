"""Noticing that several workers serve who do not know of each other."""

import logging
import os
import re
import sys
from pathlib import Path

_warned = False


def warn_of_several_workers() -> None:
    """Say once that scrapes see one worker of several; call it where no directory is shared."""
    global _warned  # noqa: PLW0603 - once per process
    if _warned or not _is_one_of_several():
        return
    _warned = True
    logging.getLogger("obskit.workers").warning(
        "several workers serve, and this scrape shows only one of them: give them a directory "
        "to share their metrics in, with the setting workers_dir or OBSKIT_WORKERS_DIR"
    )


def _is_one_of_several() -> bool:
    """Tell from uvicorn's and gunicorn's ways of starting workers; in doubt, no."""
    process = sys.modules.get("multiprocessing.process")
    is_child = process is not None and process.parent_process() is not None
    is_uvicorn = is_child and "uvicorn" in sys.modules
    return (is_uvicorn or "gunicorn.arbiter" in sys.modules) and _twins() > 1


def _twins() -> int:
    """Count the processes with this one's parent and command, this one included."""
    parent = os.getppid()
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
        return list(map(_command, children.split())).count(_command("self"))
    except OSError:
        return 1


def _command(process: str) -> bytes:
    """The command line without its numbers, such as those of pipes; none if it has ended."""
    try:
        return re.sub(rb"[0-9]", b"", Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return b""
