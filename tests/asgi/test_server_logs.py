"""Access logs of servers: silenced whatever the server configures, and at no cost."""

import textwrap

import pytest
from tests.kits.programs import run_to_its_end

PREPARE = """\
import asyncio, logging, sys
from obskit.asgi._server_logs import ACCESS_LOGGERS
from obskit.asgi._server_logs import silence_server_access_logs as silence

sys.stderr = sys.stdout
"""

SERVERS = {
    "uvicorn": """\
import uvicorn
def configure():
    uvicorn.Config("app:app").configure_logging()
def write():
    line = "1", "GET", "/path", "1.1", 200
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *line)
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "1", "/path")
    logging.getLogger("uvicorn.error").info("connection open")
    logging.getLogger("uvicorn.error").error("broken")
""",
    "granian": """\
from granian.log import LogLevels, configure_logging
def configure():
    configure_logging(LogLevels.info)
def write():
    logging.getLogger("granian.access").info("GET /path")
    logging.getLogger("_granian").error("broken")
""",
    "hypercorn": """\
from hypercorn.config import Config
config = Config()
config.accesslog, config.errorlog = "-", "-"
def configure():
    config._log = None
    config.log
def write():
    scope = {"type": "http", "method": "GET", "path": "/path", "query_string": b"", "headers": [],
             "scheme": "http", "http_version": "1.1", "client": ("1", 1)}
    asyncio.run(config.log.access(scope, {"status": 200, "headers": []}, 0.1))
    asyncio.run(config.log.error("broken"))
""",
}
"""How each configures its logging, and what it writes for a request and an error."""

ORDERS = {
    "never": "configure()",
    "before the server configures its logging": "silence(); configure()",
    "after it": "configure(); silence()",
    "between": "configure(); silence(); configure()",
    "again and again": "silence(); configure(); silence(); silence()",
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("server", SERVERS)
def test_access_lines_are_silenced_and_errors_are_not(server: str, order: str) -> None:
    output = run_to_its_end(f"{PREPARE}{SERVERS[server]}{ORDERS[order]}\nwrite()")
    assert "broken" in output
    assert ("GET" in output) == (order == "never")
    about_connections = "WebSocket" in output or "connection open" in output
    assert about_connections == (order == "never" and server == "uvicorn")


def test_calling_it_again_changes_nothing() -> None:
    program = """
        for _ in range(3):
            silence()
        print({len(logging.getLogger(name).filters) for name in ACCESS_LOGGERS})
    """
    assert run_to_its_end(PREPARE + textwrap.dedent(program)) == "{1}\n"


def test_hypercorn_does_not_copy_the_environment_for_a_line_that_nobody_reads() -> None:
    program = """
        import os
        class Environment(dict):
            def items(self):
                print("copied")
                return super().items()
        configure()
        os.environ = Environment()
        write()
        silence()
        write()
    """
    output = run_to_its_end(PREPARE + SERVERS["hypercorn"] + textwrap.dedent(program))
    assert output.count("copied") == 1


def test_uvicorn_sees_that_nobody_listens() -> None:
    """It asks when a client connects, and then makes no line at all."""
    program = """
        configure()
        print(logging.getLogger("uvicorn.access").hasHandlers())
        silence()
        print(logging.getLogger("uvicorn.access").hasHandlers())
    """
    output = run_to_its_end(PREPARE + SERVERS["uvicorn"] + textwrap.dedent(program))
    assert output.split() == ["True", "False"]


def test_servers_that_are_not_there_are_not_loaded() -> None:
    program = """
        silence()
        print({"uvicorn", "hypercorn", "granian", "gunicorn"} & set(sys.modules))
    """
    assert run_to_its_end(PREPARE + textwrap.dedent(program)) == "set()\n"
