"""Any generator or coroutine used in any way: the decorated one does what the bare one does."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.kits.generator_programs import FORMS, Operation, Trace, compiled, programs, run, scripts
from tests.kits.torture import complaints

import obskit
from obskit.context import current_context
from obskit.testing import observing


def not_observed() -> str:
    return "work"


def observed_name() -> str:
    return obskit.current().name


def recorded(source: str, script: list[Operation]) -> tuple[Trace, list[str]]:
    """Run a script on the decorated function, and return the outcomes that were recorded."""
    with observing() as observed:
        trace = run(obskit.observe("work")(compiled(source, observed_name)), script)
        outcomes = [ended.outcome for ended in observed.operation("work").found]
        assert len(observed.spans.all()) == len(outcomes)
        assert observed.in_flight() == []
    assert current_context.get() is None
    return trace, outcomes


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_program_in_any_way(form: str, data: st.DataObject) -> None:
    """The same values, errors, order of events and context variables; one operation, or none."""
    source, script = data.draw(programs(form)), data.draw(scripts(form))
    if form == "async generator":  # Python closes who is awaited, whatever catches the exception
        assume(all(step.interrupt != "GeneratorExit" for step in script))
    with complaints():
        bare = run(compiled(source, not_observed), script)
    assume(form != "coroutine" or not bare.refused)  # a refusal ends whoever awaits it
    with complaints() as heard:
        trace, outcomes = recorded(source, script)
    assert trace.steps == bare.steps
    if bare.refused:  # who goes on after it was closed does so without its operation
        assert [entry or "work" for entry in trace.log] == [entry or "work" for entry in bare.log]
    else:
        assert trace.log == bare.log
    if not bare.refused:
        assert heard == []
        assert outcomes == [bare.outcome][: bare.began]
