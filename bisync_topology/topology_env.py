"""Environment variables that override keys of topology.yaml.

`BISYNC_` and the key, nested with `__`, in either case: BISYNC_NAME, BISYNC_SIDES__EAST__MYSQL__HOST,
BISYNC_TOPICS__PARTITIONS, BISYNC_DIRECTIONS__0__DDL. Under `kafka` each `_` stands for a dot, since shells allow none
in names: BISYNC_KAFKA__BOOTSTRAP_SERVERS (a dot does too). In names of sides `_` also stands for `-`. Lists and
mappings are given as JSON. Values are taken as they are: no `${…}` in them. This is pydantic-settings' convention;
its own loader would neither know the entries of the file nor name the variable in an error.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from bisync_topology.topology_keys import is_model, is_scalar, keys_at, type_at, unknown
from bisync_topology.topology_yaml import Document, Key, Problem

PREFIX: Final = "BISYNC_"
OTHERS: Final = (  # read elsewhere, not keys
    "BISYNC_FAILPOINT",
    "BISYNC_FILE",
    "BISYNC_LOG",
    "BISYNC_RESTARTS",
    "BISYNC_SANDBOX_",
    "BISYNC_TEST",
)


class _Unknown(ValueError):
    """One part of a variable's name leads nowhere."""


def overlay(document: Document, environ: Mapping[str, str]) -> None:
    """Put the values of BISYNC_… variables into the document. What fits no key becomes a problem of it."""
    if not isinstance(document.values, dict):
        return
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX) or variable.upper().startswith(OTHERS):
            continue
        key: Key = ()
        try:
            for part in variable[len(PREFIX) :].split("__"):
                key = (*key, _resolve(document.values, key, part))
            value = _value(type_at(key), environ[variable])
        except _Unknown as error:
            document.problems.append(Problem((*key, part.lower()), str(error), position=variable))
        except ValueError as error:
            document.problems.append(Problem(key, str(error), position=variable))
        else:
            document.variables[key] = variable
            _put(document.values, key, value)


def _resolve(values: dict[str, Any], key: Key, part: str) -> str | int:
    """Find what one part of a variable's name means below `key`."""
    if key == ("kafka",):
        return part.lower().replace("_", ".")
    kind, present = type_at(key), _get(values, key)
    if is_model(kind):
        allowed = keys_at(key)
    elif isinstance(present, list):
        if part.isdecimal() and int(part) < len(present):
            return int(part)
        raise _Unknown(f"there is no such entry; allowed are 0 to {len(present) - 1}")
    elif isinstance(present, dict) and not is_scalar(kind):
        allowed = tuple(present)
    else:
        raise _Unknown("nothing can stand below one value or a missing entry")
    for name in allowed:
        if name.lower().replace("-", "_") == part.lower().replace("-", "_"):
            return name
    raise _Unknown(unknown(part, allowed))


def _value(kind: Any, text: str) -> Any:
    if is_scalar(kind):
        return text
    try:
        return _texts(json.loads(text, parse_int=str, parse_float=str))
    except ValueError:
        raise ValueError('the variable must hold JSON, as in ["shop", "crm.customers"]') from None


def _texts(value: Any) -> Any:
    """Turn JSON's constants into the text that the models read, as for values of the file."""
    match value:
        case dict():
            return {name: _texts(inner) for name, inner in value.items()}
        case list():
            return [_texts(inner) for inner in value]
        case bool():
            return str(value).lower()
        case _:
            return value


def _get(values: Any, key: Key) -> Any:
    for part in key:
        values = values[part] if isinstance(part, int) else values.get(part) if isinstance(values, dict) else None
    return values


def _put(values: Any, key: Key, value: Any) -> None:
    for part in key[:-1]:
        if isinstance(part, str) and not isinstance(values.get(part), dict | list):
            values[part] = {}
        values = values[part]
    values[key[-1]] = value
