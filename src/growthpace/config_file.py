"""Reading a config file into a typed pydantic model: YAML without its traps, and every fault in plain words.

`read_yaml(path)` gives the file's mapping, `described(error, model, content)` one line per fault of a pydantic error
(the key, the value found, what is allowed), and `located(section, folder)` the model with its relative paths resolved.
Nothing here knows a key of the study.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from growthpace.errors import InputError

SHOWN = 60
"""Characters of a value that a message quotes."""


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice (YAML would silently keep the last) and reads 1e-5 as a number."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *other` may be overridden, that is its use
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be one word", key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                what = f"the key {key!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, what, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_UniqueKeys.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file; `InputError` where it cannot be read, is not UTF-8, not YAML or not a mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a config file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line}: not UTF-8 at byte {error.start + 1} of the file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path}: {where}{problem}") from None
    if content is None:
        raise InputError(f"{path}: empty")
    if not isinstance(content, dict):
        raise InputError(f"{path}: found {_shown(content)}, expected a mapping of keys to values")
    return content


def located(section: Any, folder: Path) -> Any:
    """The section (a model, or what its fields hold) with relative paths resolved against `folder`.

    A section with a method `at(folder)` is asked for itself first: it may hold a path in a text.
    """
    if isinstance(section, Path):
        return (folder / section.expanduser()).resolve()
    if isinstance(section, BaseModel):
        section = section.at(folder) if hasattr(section, "at") else section
        return section.model_copy(update={key: located(value, folder) for key, value in section})
    if isinstance(section, dict):
        return {key: located(value, folder) for key, value in section.items()}
    if isinstance(section, list):
        return [located(value, folder) for value in section]
    return section


# --- faults in words -------------------------------------------------------------------------------------------------


def described(error: ValidationError, model: type[BaseModel], content: Any) -> list[str]:
    """One line per fault of a pydantic error: `key: what is wrong (what is allowed)`.

    content: what was validated. A value that fits no branch of a union is one fault, not one per branch: that of the
    branch which has the value's own shape, else what all branches allow.
    """
    lines: dict[str, None] = {}  # a dict, since branches of a union can say the same
    for fault in error.errors():
        place = _Place(model)
        for part in fault["loc"]:
            if place.union:
                branch = place.branch(part)
                if not branch.fits(_value_at(content, place.path)):
                    break
                place = branch
            else:
                place = place.under(part)
        else:
            lines |= dict.fromkeys(_in_words(fault, place))
            continue
        value = _value_at(content, place.path)
        if not any(place.branch_of(annotation).fits(value) for annotation in place.branches):
            lines[f"{place.key}: found {_shown(value)}, allowed: {place.allowed}"] = None
    return list(lines)


class _Place:
    """Where in a model a fault lies: the key in words, and the type that is declared there."""

    def __init__(
        self,
        annotation: Any,
        metadata: tuple = (),
        path: tuple = (),
        key: str = "",
        within: _Place | None = None,
    ):
        self.metadata, self.within = list(metadata), within
        while get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            self.metadata += more
        self.branches = [a for a in get_args(annotation) if a is not types.NoneType] if _is_union(annotation) else []
        self.union = len(self.branches) > 1
        if len(self.branches) == 1:  # X | None: pydantic does not name the branch
            inner = _Place(self.branches[0], tuple(self.metadata))
            annotation, self.metadata = inner.annotation, inner.metadata
        self.annotation, self.path, self.key = annotation, path, key

    def under(self, part: Any) -> _Place:
        """The place of a key (or a position) within this section."""
        path, key = (*self.path, part), f"{self.key}.{part}" if self.key else str(part)
        if part == "[key]":  # the name itself is at fault: pydantic gives it, then this
            section = self.within
            return _Place(get_args(section.annotation)[0], (), section.path, section.key, section)
        if self.sections:
            field = self.annotation.model_fields.get(part)
            return _Place(field.annotation, (field,), path, key, self) if field else _Place(Any, (), path, key, self)
        arguments = get_args(self.annotation)
        if get_origin(self.annotation) is dict:
            return _Place(arguments[1], (), path, key, self)
        if isinstance(part, int) and arguments:
            argument = arguments[min(part, len(arguments) - 1)]
            return _Place(argument, (), path, f"{self.key}[{part + 1}]", self)
        return _Place(Any, (), path, key, self)

    @property
    def sections(self) -> bool:
        """Whether a section with keys of its own is declared here."""
        return isinstance(self.annotation, type) and issubclass(self.annotation, BaseModel)

    def branch(self, label: str) -> _Place:
        """The branch of a union that pydantic calls `label`."""
        found = (place for place in map(self.branch_of, self.branches) if place.called(label))
        return next(found, self.branch_of(Any))

    def branch_of(self, annotation: Any) -> _Place:
        return _Place(annotation, (), self.path, self.key)

    def called(self, label: str) -> bool:
        """Whether pydantic calls this branch `label`: its tag, or the beginning of its type."""
        label = re.sub(r"^function-\w+\[\w+\(\), (.*)\]$", r"\1", label)  # a validator stands around it
        if self.sections:
            tags = [get_args(field.annotation) for field in self.annotation.model_fields.values()]
            return (label,) in tags or label == self.annotation.__name__
        kind = get_origin(self.annotation) or self.annotation
        name = "literal" if kind is Literal else getattr(kind, "__name__", str(kind))
        return re.match(rf"(constrained-)?{name.lower()}\b", label) is not None

    def fits(self, value: Any) -> bool:
        """Whether a value has this branch's shape, so that its faults are worth telling."""
        kind = dict if self.sections else get_origin(self.annotation) or self.annotation
        return isinstance(kind, type) and isinstance(value, kind) and not isinstance(value, bool)

    @property
    def allowed(self) -> str:
        """What is declared here, in words."""
        kind = get_origin(self.annotation) or self.annotation
        arguments = get_args(self.annotation)
        if self.union and all(self.branch_of(branch).sections for branch in self.branches):
            return " or ".join(f"a section with {key}: {', '.join(tags)}" for key, tags in self.tags.items())
        if self.union:
            return " or ".join(place.allowed for place in map(self.branch_of, self.branches))
        if kind is Literal:
            return ", ".join(map(str, arguments))
        if kind is list:
            return f"a list{', not empty' if _minimum(self.metadata) else ''} (each {_Place(arguments[0]).allowed})"
        if kind is tuple:
            return f"a list of {len(arguments)} (each {_Place(arguments[0]).allowed})"
        if self.sections:
            return f"a section with the keys {', '.join(kind.model_fields)}"
        if kind is dict:
            return f"a section of names{', not empty' if _minimum(self.metadata) else ''}"
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
        return " ".join([words.get(kind, "another kind of value"), *_bounds(self.metadata)])

    @property
    def tags(self) -> dict[str, list[str]]:
        """For a union of sections: {the key that tells them apart: its values}."""
        found: dict[str, list[str]] = {}
        for branch in self.branches:
            for key, field in branch.model_fields.items():
                if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
                    found.setdefault(key, []).extend(get_args(field.annotation))
        return found


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _bounds(metadata: list) -> Iterator[str]:
    for constraint in metadata:
        if isinstance(constraint, FieldInfo):
            if constraint.description:  # a pattern, said for people
                yield constraint.description
            yield from _bounds(constraint.metadata)
        words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
        yield from (f"{word} {getattr(constraint, b)}" for b, word in words.items() if hasattr(constraint, b))


def _minimum(metadata: list) -> int:
    """The least length that a list must have."""
    lengths = [_minimum(m.metadata) if isinstance(m, FieldInfo) else getattr(m, "min_length", None) for m in metadata]
    return max((length for length in lengths if length), default=0)


def _value_at(content: Any, path: tuple) -> Any:
    for part in path:
        content = content[part] if isinstance(content, list) else content.get(part)
    return content


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"a section ({', '.join(map(str, value))})" if value else "an empty section"
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _in_words(fault: dict, place: _Place) -> Iterator[str]:
    kind, value, key = fault["type"], fault.get("input"), place.key
    if kind == "value_error":
        for line in str(fault["ctx"]["error"]).split("\n"):
            yield f"{key}: {line}" if key else line
    elif kind == "extra_forbidden":
        known = list(place.within.annotation.model_fields)
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        yield f"{key}: unknown key ({meant}allowed: {', '.join(known)})"
    elif kind == "missing":
        yield f"{key}: missing (allowed: {place.allowed})"
    elif kind.startswith("union_tag"):
        tag = fault["ctx"]["discriminator"].strip("'")
        allowed = ", ".join(place.tags[tag])
        found = f"found {_shown(value[tag])}, allowed: {allowed}" if tag in value else f"missing (allowed: {allowed})"
        yield f"{key}.{tag}: {found}"
    else:
        name = "the name " if fault["loc"][-1] == "[key]" else ""
        quotes = "; put it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
        yield f"{key}: found {name}{_shown(value)}, allowed: {place.allowed}{quotes}"
