"""Frozen dataclasses to JSON objects and back, strictly: an unknown, missing or mistyped key is named in the error.

Not a general serialiser: it knows the shapes that the contract uses (dataclasses, tuples, mappings, optional values and
plain scalars), because a model file or a job may come from a stranger.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any, Dict, Type, TypeVar

from sardino_core.contract.errors import SettingInvalid

T = TypeVar("T")


def to_dict(value: Any) -> Any:
    """A dataclass (nested, frozen) as plain JSON values; tuples become lists."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_dict(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_dict(item) for item in value]
    if isinstance(value, dict):
        return {key: to_dict(item) for key, item in value.items()}
    return value


def from_dict(kind: Type[T], data: Any, where: str = "") -> T:
    """Build the dataclass `kind` from JSON values.

    Raises SettingInvalid, naming the place (`inputs.bands[0].mean_db`), for unknown, missing or mistyped keys.
    """
    place = where or kind.__name__
    if not isinstance(data, dict):
        raise SettingInvalid(f"{place} is {_describe(data)}; it must be an object.")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for key in data:
        if key not in fields:
            raise SettingInvalid(f"{place} has the unknown key {key!r}; allowed are {', '.join(fields)}.")
    values = {}
    for name, field in fields.items():
        inner = f"{where}.{name}" if where else name
        if name in data:
            values[name] = _convert(hints[name], data[name], inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingInvalid(f"{place} lacks the key {name!r}.")
    return kind(**values)


def dumps(value: Any) -> str:
    """The dataclass as one line of JSON (no NaN or infinity, which JSON does not have)."""
    return json.dumps(to_dict(value), ensure_ascii=False, allow_nan=False)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, getattr(types, "UnionType", typing.Union)):  # Python 3.9 has one kind only
        if value is None and type(None) in args:
            return None
        inner = [arg for arg in args if arg is not type(None)]
        return _convert(inner[0], value, where)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    if origin is tuple:
        return _convert_tuple(args, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise SettingInvalid(f"{where} is {_describe(value)}; it must be an object.")
        return {_key(args[0], key, where): _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is typing.Literal:
        if value not in args:
            raise SettingInvalid(f"{where} is {_describe(value)}; allowed are {', '.join(map(str, args))}.")
        return value
    return _convert_scalar(hint, value, where)


def _convert_tuple(args: Any, value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise SettingInvalid(f"{where} is {_describe(value)}; it must be a list.")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        raise SettingInvalid(f"{where} has {len(value)} entries; it must have {len(args)}.")
    return tuple(_convert(arg, item, f"{where}[{i}]") for i, (arg, item) in enumerate(zip(args, value)))


def _key(hint: Any, key: Any, where: str) -> Any:
    if hint is not int:
        return key
    try:
        if isinstance(key, bool) or not isinstance(key, (int, str)):  # YAML has keys that are null, yes or 1.5
            raise ValueError
        return int(key)
    except ValueError:
        raise SettingInvalid(f"{where} has the key {_describe(key)}; keys must be whole numbers.") from None


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint in (int, float) and isinstance(value, bool)):
        raise SettingInvalid(f"{where} is {_describe(value)}; it must be {_KIND_NAMES.get(hint, str(hint))}.")
    if hint is float and not math.isfinite(value):
        raise SettingInvalid(f"{where} is {value}; it must be a finite number.")
    return value


_KIND_NAMES: Dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _describe(value: Any) -> str:
    """The beginning of it, as JSON, without going through the rest: YAML may hold itself, or itself many times."""
    text = ""
    try:
        for part in json.JSONEncoder(default=str, check_circular=False).iterencode(value):
            text += part
            if len(text) > 60:
                return text[:57] + "..."
    except (TypeError, ValueError, RecursionError):
        return f"of the type {type(value).__name__}"
    return text
