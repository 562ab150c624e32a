"""The user's own classes, from a small table, as settings over a configuration for fine-tuning."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sar_dino_qgis.processing.tables import rows_of, words
from sardino_core.contract.errors import SettingInvalid

COLUMNS = ("label value", "class value", "name", "colour")
# For classes without a colour; told apart by colour-blind eyes, too (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#999999")


def class_settings(cells: Sequence[Any]) -> tuple[str, ...]:
    """`key=value` settings that replace classes and label values; none for an empty table. Raises SettingInvalid."""
    rows = rows_of(cells, COLUMNS)
    if not rows:
        return ()
    mapping: dict[int, int] = {}
    classes: dict[int, dict[str, Any]] = {}
    for label_text, class_text, *rest in rows:
        label = _number(label_text, -32768, 65535)
        value = _number(class_text or label_text, 0, 253)
        if mapping.setdefault(label, value) != value:
            raise SettingInvalid(f"The label value {label} stands for two classes, {mapping[label]} and {value}.")
        if value:  # 0: says nothing
            name, colour = words(*rest)
            known = classes.setdefault(value, {"value": value, "name": "", "colour": ""})
            known.update({key: text for key, text in (("name", name), ("colour", colour)) if text})
    for number, item in enumerate(classes.values()):
        item["name"] = item["name"] or f"class {item['value']}"
        item["colour"] = item["colour"] or _COLOURS[number % len(_COLOURS)]
    pairs = ", ".join(f"{label}: [{value}]" for label, value in mapping.items() if value)
    silent = [label for label in sorted({0, *mapping}) if not mapping.get(label)]
    return (
        f"classes={json.dumps(list(classes.values()), ensure_ascii=False)}",
        f"sources.0.mapping={{{pairs}}}",
        f"sources.0.ignore={silent}",
    )


def _number(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise SettingInvalid(f"{text!r} is no whole number from {low} to {high}.", "Correct the table of classes.")
    return int(text)
