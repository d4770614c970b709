"""Which keys may stand where in topology.yaml, read off the models.

Error messages name the allowed keys, and environment variables are matched to them: both walk the models here.
"""

import types
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from bisync_topology.topology import Topology
from bisync_topology.topology_yaml import Key


def type_at(key: Key) -> Any:
    """Give the type that the models expect at `key`, without Optional and Annotated; None where nothing may stand."""
    kind: Any = Topology
    for part in key:
        kind = _bare(_inside(kind, part))
    return kind


def keys_at(key: Key) -> tuple[str, ...]:
    """Give the keys that a mapping at `key` may have; nothing where any name is allowed."""
    kind = type_at(key)
    return tuple(_fields(kind)) if is_model(kind) else ()


def unknown(part: str, allowed: Iterable[str]) -> str:
    """Say that `part` is no key here, which ones are allowed and which one was probably meant."""
    allowed = list(allowed)
    return f"unknown key; allowed are {', '.join(allowed)}{meant(part, allowed)}"


def meant(part: str, allowed: Iterable[str]) -> str:
    """Give ` (did you mean `x`?)` where something allowed is close to what was written, else nothing."""
    nearest = get_close_matches(part.lower(), list(allowed), n=1)
    return f" (did you mean `{nearest[0]}`?)" if nearest else ""


def is_model(kind: Any) -> bool:
    """Tell whether a mapping with fixed keys stands there."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_scalar(kind: Any) -> bool:
    """Tell whether one value stands there, neither mapping nor list."""
    return kind is not None and not is_model(kind) and get_origin(kind) is None


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _inside(kind: Any, part: str | int) -> Any:
    if is_model(kind):
        return _fields(kind).get(str(part))
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is dict:
            return arguments[1]
        case origin if origin is tuple:
            return arguments[0]
        case _:
            return None


def _bare(kind: Any) -> Any:
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        kind = next(argument for argument in get_args(kind) if argument is not type(None))
    return kind
