"""The layer on a patched callable: an operation at each call, as long as its patch is live.

A layer is a proxy of wrapt's, so that whoever looks at a patched attribute sees what was there: its
class, its signature, its code's flags. It binds as the original does, and decides at each call, so
that methods that were bound before the end of a patch end with it.
"""

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Protocol

from wrapt import CallableObjectProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    Observe = Callable[[Any], Any]
    Proxy = CallableObjectProxy[Any]
else:
    Proxy = CallableObjectProxy

_C_METHODS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
"""Descriptors that may be called with the receiver as the first argument, as functions may."""

_HOLDERS = (types.MethodType, classmethod, staticmethod)

_DEEPEST = 100
"""Wrappers around a callable that are looked through."""


class Switch(Protocol):
    """What a layer asks at each call."""

    live: bool


def layered(member: Any, observe: "Observe", switch: Switch) -> Any:
    """Return what to put where a member was: the same kind of thing with layers inside.

    Args:
        member: What a class holds, or what an attribute of a module or an object is.
        observe: Makes an operation of a callable.
        switch: Whether the layers are live.

    Raises:
        DeclarationError: If the member does not fit what was declared.
    """

    def inside(function: Any) -> Any:
        return None if function is None else _layer_on(function, observe, switch)

    kind: Any = type(member)
    match member:
        case _ if kind is not member.__class__:  # a proxy is not what it claims to be
            return inside(member)
        case classmethod() | staticmethod():
            again = kind(inside(member.__func__))
        case types.MethodType():
            again = kind(inside(member.__func__), member.__self__)
        case property():
            again = kind(*map(inside, (member.fget, member.fset, member.fdel)), member.__doc__)
        case functools.partialmethod():
            again = kind(inside(member.func), *member.args, **member.keywords)
        case functools.cached_property():
            again = kind(inside(member.func))
            again.attrname = member.attrname
        case _:
            return inside(member)
    return again


def has_layer(member: Any, switch: Switch) -> bool:
    """Tell whether a layer of one patch is in a member, under whatever lies on top of it.

    Args:
        member: What is there now.
        switch: The patch.
    """
    for _ in range(_DEEPEST):
        if isinstance(member, Layer) and member._self_switch is switch:
            return True
        if member is None:
            return False
        member = _inner(member)
    return False


def _inner(member: Any) -> Any:
    """Return what is under the outermost wrapper of a member, or None."""
    match member:
        case property():
            return member.fget or member.fset or member.fdel
        case functools.partialmethod() | functools.cached_property():
            return member.func
        case _:
            inner = "__func__" if issubclass(type(member), _HOLDERS) else "__wrapped__"
            return getattr(member, inner, None)


class Layer(Proxy):
    """A callable that is not bound by what holds it.

    Args:
        original: What is called when the patch is not live.
        observed: What is called when it is.
        switch: Whether it is.
    """

    def __init__(self, original: Any, observed: "Callable[..., Any]", switch: Switch) -> None:
        super().__init__(original)
        self._self_observed = observed
        self._self_switch = switch

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._self_switch.live:
            return self._self_observed(*args, **kwargs)
        return self.__wrapped__(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as what was there: functions by their names, anything else by itself."""
        original = self.__wrapped__
        if isinstance(original, types.FunctionType):
            return original.__qualname__
        return original.__reduce_ex__(protocol)

    def __copy__(self) -> "Layer":
        return self

    def __deepcopy__(self, memo: Any) -> "Layer":
        return self


class FunctionLayer(Layer):
    """A Python function, which binds to the object that it is looked up on."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)


class BindingLayer(Layer):
    """Another callable that binds to what it is looked up on.

    Args:
        original: What is bound and called when the patch is not live.
        observed: Takes the receiver as its first argument.
        observed_bound: Takes the bound original as its first argument.
        switch: Whether the patch is live.
    """

    def __init__(
        self,
        original: Any,
        observed: "Callable[..., Any]",
        observed_bound: "Callable[..., Any]",
        switch: Switch,
    ) -> None:
        super().__init__(original, observed, switch)
        self._self_observed_bound = observed_bound

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        original = self.__wrapped__
        bound = type(original).__get__(original, instance, owner)
        if bound is original:
            return self
        if type(bound) is types.MethodType and bound.__func__ is original:
            return types.MethodType(self, bound.__self__)
        if type(original) in _C_METHODS:
            return types.MethodType(self, bound.__self__)
        return Layer(bound, functools.partial(self._self_observed_bound, bound), self._self_switch)


class Likeness(Proxy):
    """What `observe` is shown in place of a proxy of others: one looks like a function or method.

    Args:
        function: The Python function behind it, which tells its kind.
        call: What is called.
        signature: The parameters of the call, if they are known.
    """

    def __init__(
        self, function: Any, call: "Callable[..., Any]", signature: inspect.Signature | None
    ) -> None:
        super().__init__(function)
        self._self_call = call
        self._self_signature = signature

    @property
    def __signature__(self) -> inspect.Signature | None:
        return self._self_signature

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._self_call(*args, **kwargs)


def _layer_on(original: Any, observe: "Observe", switch: Switch) -> Layer:
    observed = observe(_shown(original))
    if not hasattr(type(original), "__get__"):
        return Layer(original, observed, switch)
    if type(original) is types.FunctionType:
        return FunctionLayer(original, observed, switch)
    if type(original) in _C_METHODS:
        return BindingLayer(original, observed, observed, switch)
    return BindingLayer(original, observed, observe(_shown_bound(original)), switch)


def _shown(original: Any) -> Any:
    """Return what stands for a callable before `observe`, which asks of which class it is."""
    if type(original) is original.__class__:
        return original
    return Likeness(_function_of(original), original, _signature_of(original))


def _shown_bound(original: Any) -> Likeness:
    """Return what stands for the calls of all that comes of binding a callable."""
    function = _function_of(original)
    signature = _signature_of(function)
    if signature is not None and isinstance(original, staticmethod):
        receiver = inspect.Parameter("obskit_bound", inspect.Parameter.POSITIONAL_ONLY)
        signature = signature.replace(parameters=[receiver, *signature.parameters.values()])
    return Likeness(function, _call, signature)


def _function_of(original: Any) -> Any:
    """Return the Python function behind a proxy, or one that stands for a callable without."""
    kinds = (types.FunctionType, *_HOLDERS)
    found = inspect.unwrap(original, stop=lambda inner: type(inner) in kinds)
    found = getattr(found, "__func__", found)
    return found if type(found) is types.FunctionType else _call


def _signature_of(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _call(called: Any, /, *args: Any, **kwargs: Any) -> Any:
    return called(*args, **kwargs)


def _annotations(proxy: Any) -> Any:
    return proxy.__wrapped__.__annotations__


def _set_annotations(proxy: Any, annotations: Any) -> None:
    proxy.__wrapped__.__annotations__ = annotations


for _kind in (Layer, FunctionLayer, BindingLayer, Likeness):
    # Python makes a class's own annotations when they are first asked for, and they would then
    # stand before those of what a proxy is for.
    _kind.__annotations__ = property(_annotations, _set_annotations)  # type: ignore[assignment] # the same
