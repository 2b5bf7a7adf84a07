"""Forks and exits while a page is rendered."""

import os

import pytest
from tests.kits.programs import run_to_its_end

PROGRAM = """
    import os, signal, sys, threading, time, warnings
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import GaugeMetricFamily
    from obskit._scrapes import metrics_answer

    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, since 3.12

    class Hanging:
        hangs = True
        begun = threading.Event()

        def collect(self):
            self.begun.set()
            while self.hangs:
                time.sleep(0.001)
            return [GaugeMetricFamily("page", "A page.", 1)]

        def describe(self):
            return []

    hanging = Hanging()
    registry = CollectorRegistry()
    registry.register(hanging)

    def scrape():
        return metrics_answer("GET", {}, registry=registry)

    threads = [threading.Thread(target=scrape, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert hanging.begun.wait(10)
"""


def test_the_process_ends_while_a_page_is_rendered() -> None:
    assert run_to_its_end(PROGRAM + "    print('end')\n") == "end\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_forked_while_pages_are_rendered_and_waited_for_renders_its_own() -> None:
    printed = run_to_its_end(
        PROGRAM
        + """
    for _ in range(20):
        process = os.fork()
        if not process:
            signal.alarm(20)
            hanging.hangs = False
            os._exit(0 if scrape().status == 200 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), end=" ")
    hanging.hangs = False
    for thread in threads:
        thread.join()
    print(scrape().status)
    """
    )
    assert printed == "0 " * 20 + "200\n"
