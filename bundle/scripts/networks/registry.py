"""Networks that a description of weights may name: what each was built from, as data, and how it is built again."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

__all__ = ["build", "definition", "register", "registered"]

_Network = TypeVar("_Network", bound=type[nn.Module])
_NETWORKS: dict[str, type[nn.Module]] = {}
_REBUILT: dict[str, Mapping[str, Any]] = {}
_NESTED = 8  # networks within networks
# annotations, as texts, that say what a value must be
_KINDS = {"bool": bool, "int": int, "float": (int, float), "str": str}
_MODULES = 10_000  # of a network; ResNet-101 has 345


def register(**rebuilt: Any) -> Callable[[_Network], _Network]:
    """Class decorator that lets descriptions of weights name a network, by the name of its class.

    Its instances remember what they were built from. An own backbone, in any file, becomes known by it::

        @register(pretrained=False)
        class MyBackbone(FeatureExtractor): ...

    Args:
        rebuilt: values that arguments have when the network is built again to receive its weights, whatever they were.

    Raises:
        ValueError: the name is another class's, or the constructor takes ``*args`` or ``**kwargs``, so that its arguments
            have no names of their own.
    """

    def decorate(cls: _Network) -> _Network:
        name, init = cls.__name__, cls.__init__
        signature = inspect.signature(init)
        known = _NETWORKS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"{name} is registered already, from {known.__module__}: choose another name")
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in signature.parameters.values()):
            raise ValueError(f"{name}: a registered network names each of its arguments, found {signature}")

        @wraps(init)
        def remember(self: nn.Module, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            if type(self) is cls:  # a subclass has arguments of its own
                bound = signature.bind(self, *args, **kwargs)
                bound.apply_defaults()
                self._built_from = dict(list(bound.arguments.items())[1:])

        cls.__init__ = remember
        _NETWORKS[name], _REBUILT[name] = cls, rebuilt
        return cls

    return decorate


def registered() -> list[str]:
    """Names of the networks that a description may name."""
    return sorted(_NETWORKS)


def definition(network: nn.Module) -> dict[str, Any]:
    """What builds a network like this one, as JSON types: ``{"component": name, "arguments": {name: value}}``.

    Values are numbers, texts, booleans, lists of these, and definitions of networks that the network is built on. An
    argument that is ``None``, as its default, is left out.

    Raises:
        ValueError: the network is not registered, or an argument is of another type.
    """
    name = type(network).__name__
    if _NETWORKS.get(name) is not type(network):
        raise ValueError(
            f"{type(network).__module__}.{name} is not a registered network, so that its weights could not say what they "
            f"are: put @register() from scripts.networks before its class"
        )
    defaults = inspect.signature(type(network).__init__).parameters
    arguments = {}
    for key, value in {**network._built_from, **_REBUILT[name]}.items():
        if value is None and defaults[key].default is None:
            continue
        arguments[key] = definition(value) if isinstance(value, nn.Module) else _plain(value, f"{name}: argument {key!r}")
    return {"component": name, "arguments": arguments}


def build(content: Any, source: str = "definition", most: float = math.inf) -> nn.Module:
    """A network from its :func:`definition`, with random weights. All of it is checked before anything is built.

    Args:
        content: the definition; it is not trusted.
        source: file named in errors.
        most: bytes of parameters and buffers at which building ends, those that are given up again among them.

    Raises:
        ValueError: a component that is not registered, an argument that it does not have or needs and is not given, or a
            value of another type than its parameter's, or than numbers, texts, booleans and lists of them; or arguments that
            no network can be built from, or one of more than 10,000 modules or more bytes.
    """
    _check(content, source, 0)
    state = torch.get_rng_state()  # whoever asks for weights has random numbers of their own
    bound = _Bound(most)
    hooks = [
        register_module_module_registration_hook(bound.module),
        register_module_parameter_registration_hook(bound.tensor),
        register_module_buffer_registration_hook(bound.tensor),
    ]
    try:
        return _build(content)
    except Exception as error:  # a constructor may raise anything over arguments that it was not made for
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{source}: {content['component']} cannot be built from its arguments: {reason}") from error
    finally:
        for hook in hooks:
            hook.remove()
        torch.set_rng_state(state)


class _Bound:
    """Hooks that end the building of a network that would never come to an end, or be too large."""

    def __init__(self, most: float) -> None:
        self.modules, self.bytes, self.most = 0, 0, most

    def module(self, *_: Any) -> None:
        self.modules += 1
        if self.modules > _MODULES:
            raise ValueError(f"it would have more than {_MODULES} modules")

    def tensor(self, _module: nn.Module, _name: str, value: torch.Tensor | None) -> None:
        self.bytes += 0 if value is None else value.numel() * value.element_size()
        if self.bytes > self.most:  # what is only reserved so far takes no memory
            raise ValueError(f"it would have more than {self.most} bytes of weights")


def _build(content: Mapping[str, Any]) -> nn.Module:
    arguments = {k: _build(v) if isinstance(v, Mapping) else v for k, v in content["arguments"].items()}
    return _NETWORKS[content["component"]](**arguments)


def _check(content: Any, source: str, depth: int) -> None:
    if not isinstance(content, Mapping) or set(content) != {"component", "arguments"} or depth > _NESTED:
        found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"{source}: expected a network as 'component' and 'arguments', found {found}")
    name, arguments = content["component"], content["arguments"]
    if not isinstance(name, str) or name not in _NETWORKS:
        raise ValueError(
            f"{source}: component {name!r} is no network of this bundle, expected one of {registered()}; one of your own "
            "is known once its file is named: --own FILE.py"
        )
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{source}: {name}: expected a mapping of arguments, found {type(arguments).__name__}")
    parameters = dict(list(inspect.signature(_NETWORKS[name].__init__).parameters.items())[1:])
    if surplus := sorted(set(map(str, arguments)) - set(parameters)):
        raise ValueError(f"{source}: {name} has no argument {surplus}, expected some of {sorted(parameters)}")
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    if missing := sorted(needed - set(arguments)):
        raise ValueError(f"{source}: {name} lacks the argument {missing}")
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            _check(value, f"{source}: {name}: {key}", depth + 1)
        else:
            _plain(value, f"{source}: {name}: argument {key!r}")
            kind = _KINDS.get(str(parameters[key].annotation))
            if kind and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                expected = parameters[key].annotation
                raise ValueError(f"{source}: {name}: argument {key!r}: found {value!r:.80}, expected {expected}")


def _plain(value: Any, where: str) -> Any:
    """A value as JSON types, tuples as lists; anything but numbers, texts, booleans and lists of them is refused."""
    if isinstance(value, (list, tuple)):
        return [_scalar(item, where) for item in value]
    return _scalar(value, where)


def _scalar(value: Any, where: str) -> Any:
    if not isinstance(value, (bool, int, float, str)) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{where}: found {value!r:.80}, expected numbers, texts, booleans or lists of them")
    return value
