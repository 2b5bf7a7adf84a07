"""``instrument_object`` and ``uninstrument``: operations of code that is not yours."""

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from obskit._guard import guard
from obskit.operation._observe import observe
from obskit.operation._patch import Patch, patches
from obskit.operation._places import Goal, Place, goals, operation_name

if TYPE_CHECKING:
    from types import TracebackType


class Instrumentation:
    """What `instrument_object` has done, to be undone; as a context manager, at the block's end.

    Args:
        jobs: What is done, or will be when a module is imported.
    """

    def __init__(self, jobs: "list[_Job]") -> None:
        self._jobs = jobs

    @property
    def waiting(self) -> bool:
        """Whether a module is still to be imported."""
        return any(job.waiting for job in self._jobs)

    def uninstrument(self) -> bool:
        """Undo what this call of `instrument_object` has changed; a second time changes nothing.

        Returns:
            Whether nothing of obskit's is left: see `uninstrument`.
        """
        undone = [job.undo() for job in reversed(self._jobs)]
        return all(undone)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        self.uninstrument()


def instrument_object(
    target: Any, /, *methods: str, name: str | None = None, **options: Any
) -> Instrumentation:
    """Make operations of functions or methods that you cannot decorate, until `uninstrument`.

    Where one is an operation already, by an earlier call or by `observe`, nothing changes.

    Args:
        target: An object, a class or a module; or a text, ``"package.module"`` or
            ``"package.module:Class.method"``. A module that is given as a text need not be
            imported: it is instrumented when it is.
        *methods: Names of attributes of the target, or paths such as ``"Class.method"``. One that
            a class inherits is replaced in that class only.
        name: The operation's name; ``{method}`` in it stands for the method's name. Default: the
            module's or class's name and the method's.
        **options: The keywords of `observe`.

    Returns:
        A handle that undoes it, and a context manager that undoes it at the block's end.

    Raises:
        DeclarationError: If there is no such method, it cannot be replaced, or the declaration
            does not fit it. In a module that is imported later, that is logged and counted in
            ``obskit_internal_errors_total`` instead.
        DuplicateError: If it is instrumented already with other options.
    """
    wanted = goals(target, methods)
    observe(operation_name(name, "checked", "checked"), **options)
    jobs = [_Job(goal, name, options) for goal in wanted]
    done = Instrumentation(jobs)
    try:
        for job in jobs:
            job.do()
    except BaseException:
        done.uninstrument()
        raise
    return done


def uninstrument(target: Any, /, *methods: str) -> bool:
    """Undo `instrument_object`; where there is nothing to undo, nothing happens.

    Args:
        target: What was instrumented, or the `Instrumentation`.
        *methods: The names that were instrumented.

    Returns:
        Whether nothing of obskit's is left there. Where others have patched on top of obskit, its
        layer stays, since theirs holds it: it lets calls pass, and False is returned.

    Raises:
        DeclarationError: If there is no such method.
    """
    if isinstance(target, Instrumentation):
        return target.uninstrument()
    undone = [_undo(goal) for goal in goals(target, methods)]
    return all(undone)


class _Job:
    """One method to instrument.

    Args:
        goal: Where it is to be found.
        name: The operation's name, or None for the default.
        options: The keywords of `observe`.
    """

    def __init__(self, goal: Goal, name: str | None, options: dict[str, Any]) -> None:
        self.goal: Goal = goal
        self.waiting: bool = False
        self._name = name
        self._options = options
        self._patch: Patch | None = None

    def do(self) -> None:
        """Instrument the method, or wait for the import of its module.

        Raises:
            DeclarationError: If it cannot be done.
        """
        place = self.goal.place()
        if place is None:
            self._wait(self.goal.root)
        else:
            self._install(place)

    def undo(self) -> bool:
        """Undo what it has done, and what it would do; tell whether nothing of ours is left."""
        self.waiting = False
        with patches.lock:
            waiting = _waiting.get(self.goal.root, []) if self.goal.is_text else []
            if self in waiting:
                waiting.remove(self)
        return self._patch is None or self._patch.uninstall()

    def do_after_import(self) -> None:
        """Instrument the method in a module that has just been imported; never fail."""
        try:
            place = self.goal.place()
            if self.waiting and place is not None:
                self._install(place)
            if not self.waiting:
                self.undo()  # another thread has undone it meanwhile
        except Exception as error:
            guard.report("operation.instrument_object", error)
        finally:
            self.waiting = False

    def _install(self, place: Place) -> None:
        name = operation_name(self._name, place.title, place.name)
        patch = Patch(place, {"name": name, **self._options})
        if patch.install():
            self._patch = patch

    def _wait(self, module: str) -> None:
        from wrapt import register_post_import_hook  # noqa: PLC0415 - wrapt is slow to import

        self.waiting = True
        with patches.lock:
            first = module not in _waiting
            _waiting.setdefault(module, []).append(self)
        if first:
            register_post_import_hook(partial(_imported, module), module)


def _imported(name: str, _: Any) -> None:
    with patches.lock:
        jobs = _waiting.pop(name, [])
    for job in jobs:
        job.do_after_import()


def _undo(goal: Goal) -> bool:
    if goal.is_text:
        with patches.lock:
            waiting = [job for job in _waiting.get(goal.root, []) if job.goal == goal]
        for job in waiting:
            job.undo()
    place = goal.place()
    if place is None:
        return True
    patch = patches.at(place)
    if patch is not None:
        return patch.uninstall()
    place.member(place.own())  # there was one, or the name is wrong
    return True


_waiting: dict[str, list[_Job]] = {}
"""What waits for the import of a module, by the module's name."""
