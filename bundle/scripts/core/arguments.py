"""Settings as the arguments of what takes them: misspelt ones are named with the nearest, switches take True or False."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from .kinds import SETTINGS
from .ranges import shown

__all__ = ["arguments", "is_switch", "nearest", "no_such", "passes_on", "to_switch"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def nearest(key: Any, known: Iterable[Any]) -> str | None:
    """The name that is spelt most like ``key``, if one is near."""
    return next(iter(difflib.get_close_matches(str(key), map(str, known), n=1)), None)


def no_such(key: Any, owner: str, known: Iterable[Any]) -> str:
    """Message about a setting that ``owner`` does not have: the nearest that it has, or all of them where none is near."""
    names = [str(name) for name in known]
    near = nearest(key, names)
    return f"{owner} has no setting {str(key)!r}; " + (f"did you mean {near!r}?" if near else f"it has {', '.join(names)}")


def to_switch(value: Any) -> bool:
    """``True`` or ``False``, which may be spelt 1, yes, on, 0, no or off, in any case.

    Raises:
        ValueError: anything else; the message names what was found.
    """
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in _WORDS:
        raise ValueError(f"found {shown(value)}, expected True or False")
    return _WORDS[word]


def is_switch(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is annotated as a ``bool`` and nothing else, or, not annotated, has one as its default."""
    if parameter.annotation is parameter.empty:
        return isinstance(parameter.default, bool)
    return parameter.annotation in (bool, "bool")


def arguments(
    function: Callable[..., Any], settings: Mapping[str, Any], owner: str, taken: Collection[str] = ()
) -> dict[str, Any]:
    """Settings as arguments of a function: the same, with its switches as ``True`` or ``False``.

    Args:
        function: function or class whose parameters are all named.
        settings: values by the names of its parameters.
        owner: what has these settings, for errors.
        taken: parameters that are no settings.

    Raises:
        ValueError: a setting that the function does not have, the message names the nearest; a switch that is neither; a
            value of another kind (see :data:`~.kinds.SETTINGS`, ``owner:name``); or no settings at all.
    """
    if not isinstance(settings, Mapping):
        raise ValueError(f"{owner}: found {shown(settings)}, expected settings by their names")
    known = {name: parameter for name, parameter in inspect.signature(function).parameters.items() if name not in taken}
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in known:
            raise ValueError(no_such(key, owner, known))
        kind = SETTINGS.get(f"{owner}:{key}")
        try:
            found[key] = to_switch(value) if is_switch(known[key]) else value if kind is None else kind.fit(value)
        except ValueError as error:
            raise ValueError(f"{owner}#{key}: {error}") from error
    return found


def passes_on(taker: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Decorator of a function or ``__init__`` that passes its ``*args`` and ``**kwargs`` on to ``taker``: its signature then
    names them, so that they can be checked before anything is built."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        taken = [p for name, p in inspect.signature(taker).parameters.items() if name not in signature.parameters]
        function.__signature__ = signature.replace(parameters=sorted([*own, *taken], key=lambda p: p.kind))
        return function

    return decorate
