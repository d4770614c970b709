"""topology.yaml read into plain values, with the position of each and references filled in.

Scalars stay the text that was written, so that `no` is a name, `0123` a password and `1e3` goes to librdkafka as it
is; the models give text its type. The YAML is composed, not constructed: nodes carry positions, and so every
duplicate key is reported, not only the first.

References in a value: `${env:NAME}`, `${file:/path}` (relative to the folder of the file; one newline at the end is
dropped); `$${` is a literal `${`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Key = tuple[str | int, ...]  # from the root: ("directions", 0, "from")
Position = tuple[int, int]  # line and column, both from 1

_YAML = "tag:yaml.org,2002:"
_REFERENCE = re.compile(r"\$(?:(?P<escaped>\$\{)|\{(?P<kind>[^:}]*)(?::(?P<name>[^}]*))?\})")
_BARE_TAG = re.compile(r"^[^#\n]*[\[,]\s*(![^!\s])", re.MULTILINE)
_TAG = "`!` begins a YAML tag here; put the value in quotes"
_DEEPEST = 20  # an alias inside its own anchor has no end


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    key: Key
    message: str  # what is wrong, what is allowed
    at_key: bool = False  # point at the key, not at its value
    position: Position | str | None = None  # where the key does not lead to it; str: an environment variable


class Document:
    """The values of one file, and where each was written."""

    def __init__(self, text: str, *, folder: Path, environ: Mapping[str, str]) -> None:
        self.values: Any = None  # dict, list, str and None
        self.problems: list[Problem] = []
        self.variables: dict[Key, str] = {}  # values that an environment variable gave, see topology_env.py
        self._folder, self._environ = folder, environ
        self._key_at: dict[Key, Position] = {(): (1, 1)}
        self._value_at: dict[Key, Position] = {(): (1, 1)}
        self._referring: set[Key] = set()
        try:
            node = YAML(typ="safe", pure=True).compose(text)
        except MarkedYAMLError as error:
            self.problems.append(_syntax(error, text))
        except YAMLError as error:
            self.problems.append(Problem((), f"not valid YAML: {str(error).splitlines()[0]}"))
        else:
            self.values = self._plain(node, ()) if node else None

    def refers(self, key: Key) -> bool:
        """Tell whether the value holds `${…}`: what came in by it is not shown."""
        return key in self._referring

    def is_literal(self, key: Key) -> bool:
        """Tell whether the value stands in the file itself, neither referred to nor from the environment."""
        return not self.refers(key) and not any(key[: len(given)] == given for given in self.variables)

    def locate(self, problem: Problem) -> Position | str:
        """Give the position, or the name of the environment variable that gave the value.

        A key that is missing is reported where its parent begins.
        """
        if problem.position:
            return problem.position
        paths = [problem.key[:length] for length in range(len(problem.key), -1, -1)]
        for key in paths:
            if key in self.variables:
                return self.variables[key]
        nearest = next(key for key in paths if key in self._value_at)
        exact = nearest == problem.key and not problem.at_key
        return (self._value_at if exact else self._key_at)[nearest]

    def _plain(self, node: Node, key: Key) -> Any:
        self._key_at.setdefault(key, _position(node))
        empty = node.start_mark.index == node.end_mark.index  # `name:` alone: the node begins in the next line
        self._value_at[key] = self._key_at[key] if empty else _position(node)
        if len(key) > _DEEPEST:
            self.problems.append(Problem(key, "is nested too deeply"))
        elif not str(node.tag).startswith(_YAML):
            self.problems.append(Problem(key, _TAG))
        elif isinstance(node, MappingNode):
            return self._mapping(node, key)
        elif isinstance(node, SequenceNode):
            return [self._plain(item, (*key, number)) for number, item in enumerate(node.value)]
        elif node.tag != f"{_YAML}null":
            return _REFERENCE.sub(lambda match: self._fill_in(match, key), str(node.value))
        return None

    def _mapping(self, node: MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name_node, value_node, merged in _entries(node):
            position = _position(name_node)
            if not isinstance(name_node, ScalarNode) or name_node.tag == f"{_YAML}null":
                self.problems.append(Problem(key, "a key must be a name", position=position))
                continue
            name = str(name_node.value)
            inner = (*key, name)
            if name not in values:
                self._key_at[inner] = position
                values[name] = self._plain(value_node, inner)
            elif not merged:
                first = self._key_at[inner][0]
                self.problems.append(Problem(inner, f"is there twice, first in line {first}", position=position))
        return values

    def _fill_in(self, reference: re.Match[str], key: Key) -> str:
        if reference["escaped"]:
            return "${"
        self._referring.add(key)
        name = reference["name"] or ""
        match reference["kind"]:
            case "env" if name in self._environ:
                return self._environ[name]
            case "env":
                self.problems.append(Problem(key, f"environment variable {name} is not set"))
            case "file":
                try:
                    return (self._folder / Path(name).expanduser()).read_text("utf-8").removesuffix("\n").removesuffix("\r")
                except (OSError, UnicodeError) as error:
                    why = getattr(error, "strerror", None) or "not UTF-8 text"
                    self.problems.append(Problem(key, f"cannot read {name}: {why}"))
            case _:
                known = "only ${env:NAME} and ${file:/path} are known; $${ stands for a literal ${"
                self.problems.append(Problem(key, f"{reference[0]} is no reference: {known}"))
        return reference[0]


def _entries(node: MappingNode, depth: int = 0) -> Iterator[tuple[Node, Node, bool]]:
    """Give the entries of a mapping, then those that `<<` merges in and that give way to them."""
    merged: list[MappingNode] = []
    for name, value in node.value:
        sources = value.value if isinstance(value, SequenceNode) else [value]
        if name.tag == f"{_YAML}merge" and all(isinstance(source, MappingNode) for source in sources):
            merged.extend(sources)
        else:
            yield name, value, depth > 0
    if depth < _DEEPEST:
        for source in merged:
            yield from _entries(source, depth + 1)


def _position(node: Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    tag = _BARE_TAG.search(text[: mark.index]) if mark else None
    if tag:  # in `[shop, !x]` the tag swallows the bracket, and YAML complains somewhere below
        line = text.count("\n", 0, tag.start(1)) + 1
        return Problem((), _TAG, position=(line, tag.start(1) - text.rfind("\n", 0, tag.start(1))))
    why = ", ".join(part for part in (error.context, error.problem) if part)
    quoting = "; put a value that begins with * in quotes" if "alias" in why else ""
    return Problem((), f"not valid YAML: {why}{quoting}", position=(mark.line + 1, mark.column + 1) if mark else None)
