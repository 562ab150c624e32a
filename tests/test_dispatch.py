"""Every job finds its function. Imports inside functions are only tried when a job runs, so they are tried here."""

import ast
import importlib
import typing
from pathlib import Path

import pytest

from sardino_core import dispatch
from sardino_core.contract import jobs
from sardino_core.contract.errors import SettingInvalid

SOURCE = ast.parse(Path(dispatch.__file__).read_text(encoding="utf-8"))
LAZY = sorted(
    {
        (node.module, alias.name)
        for function in SOURCE.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
)


@pytest.mark.parametrize("kind", typing.get_args(jobs.Job), ids=lambda kind: kind.__name__)
def test_every_job_has_its_function(kind):
    assert kind in dispatch._RUN


@pytest.mark.parametrize(("module", "name"), LAZY, ids=lambda part: part)
def test_what_is_imported_late_is_there(module, name):
    assert hasattr(importlib.import_module(module), name)


def test_what_is_no_job_is_refused():
    with pytest.raises(SettingInvalid, match="str is no job"):
        dispatch.run_job("segment")
