"""Loading topology.yaml: text → values → environment → models → checks, with every mistake reported at once.

A mistake reads `topology.yaml:LINE:COLUMN: path: what is wrong, what is allowed`; one that an environment variable
brought in has the variable's name in the place of the position. Values that may be secret are never repeated.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bisync_topology.errors import UsageError
from bisync_topology.topology import CONTROL_SCHEMA, Direction, Topology, schema_name
from bisync_topology.topology_checks import Draft, check
from bisync_topology.topology_env import overlay
from bisync_topology.topology_keys import keys_at, meant, type_at, unknown
from bisync_topology.topology_yaml import Document, Key, Position, Problem


class TopologyError(UsageError):
    """topology.yaml has mistakes; `problems` has one line for each, in the order of the file."""

    default_code = "topology"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: Path, environ: Mapping[str, str]) -> Topology:
    """Read and check the file. Raises TopologyError with all that is wrong; connects to nothing."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise TopologyError([f"{path}: cannot be read: {error.strerror}; -f FILE names another one"]) from None
    except UnicodeError:
        raise TopologyError([f"{path}:1:1: the file is not UTF-8 text"]) from None
    document = Document(text, folder=path.parent, environ=environ)
    overlay(document, environ)
    topology = None
    if document.values is not None or not document.problems:
        topology = _validate(document, path.parent)
        document.problems.extend(check(_draft(document)))
    if topology is None or document.problems:
        raise TopologyError(_lines(path, document))
    return topology


def _validate(document: Document, folder: Path) -> Topology | None:
    try:
        return Topology.model_validate(document.values, context={"folder": folder})
    except ValidationError as error:
        told = {problem.key for problem in document.problems if not problem.position}  # `${env:X}` is no number either
        for details in error.errors(include_url=False):
            problem = _problem(details, document)
            counted = details["type"] == "too_short" and details["input"]  # entries that are wrong do not count
            if problem.key not in told and not counted:
                document.problems.append(problem)
        return None


def _draft(document: Document) -> Draft:
    """Read each direction by itself, so that the checks run in spite of mistakes elsewhere."""
    draft = Draft(document=document, directions={}, control_schema=CONTROL_SCHEMA)
    directions = {}
    for number in draft.numbers():
        with contextlib.suppress(ValidationError):  # its mistakes are reported by the whole file's validation
            directions[number] = Direction.model_validate(draft.at("directions", number))
    with contextlib.suppress(ValueError):
        draft = replace(draft, control_schema=schema_name(draft.text("control_schema") or CONTROL_SCHEMA))
    return replace(draft, directions=directions)


def _problem(error: ErrorDetails, document: Document) -> Problem:
    of_key = error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",)
    key: Key = tuple(part for part in error["loc"] if part != "[key]")
    secret = document.refers(key) or "password" in key or "kafka" in key
    return Problem(key, _message(error, key, secret), at_key=of_key)


def _message(error: ErrorDetails, key: Key, secret: bool) -> str:
    """Say what is wrong in the words of the file; the models' own words speak of Python."""
    context = error.get("ctx", {})
    given = error["input"]
    written = f", not {given!r}" if isinstance(given, str) and not secret else ""
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return unknown(str(key[-1]), keys_at(key[:-1]))
        case "enum":
            allowed = [str(member.value) for member in type_at(key)]
            return f"must be one of {', '.join(allowed)}{written}{meant(str(given), allowed) if written else ''}"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return f"must be a whole number{written}"
        case "bool_parsing" | "bool_type":
            return f"must be true or false{written}"
        case "string_type" | "path_type":
            return "must be one value, not a list or a mapping" if given is not None else "must not be empty"
        case "model_type" | "dict_type":
            return "must be a mapping, as in {key: value}"
        case "tuple_type":
            return "must be a list, as in [a, b]"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "greater_than_equal":
            return f"must be at least {context['ge']}{written}"
        case "less_than_equal":
            return f"must be at most {context['le']}{written}"
        case "value_error":
            message = str(context["error"])
            return message + written if message.startswith("must") else message
        case _:
            return error["msg"]


def _lines(path: Path, document: Document) -> list[str]:
    found: dict[str, tuple[bool, Position | str]] = {}  # in the order of the file, the environment last
    for problem in document.problems:
        place = document.locate(problem)
        at = place if isinstance(place, str) else f"{path}:{place[0]}:{place[1]}"
        found[f"{at}: {show(problem.key)}: {problem.message}"] = (isinstance(place, str), place)
    return sorted(found, key=lambda line: found[line])


def show(key: Key) -> str:
    """Write a key as `directions[0].tables[shop.stock].on_conflict`."""
    parts = (f".{part}" if re.fullmatch(r"[\w-]+", str(part)) and isinstance(part, str) else f"[{part}]" for part in key)
    return "".join(parts).removeprefix(".") or "the file"
