"""What the plugin remembers in the user's QGIS profile: the worker's Python, and where the models lie."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from sar_dino_qgis.worker import environment
from sardino_core.contract.errors import SardinoError
from sardino_core.contract.model_reader import STARTER

PYTHON_VARIABLE = "SARDINO_PYTHON"
_PYTHON = "sardino/python"
_MODELS = "sardino/models_folder"


def worker_python() -> str:
    """The interpreter of the worker: the variable SARDINO_PYTHON, else the setting, else the plugin's own environment.

    Raises EnvironmentMissing when there is none.
    """
    return environment.worker_python(os.environ.get(PYTHON_VARIABLE, ""), chosen_python(), environment_folder())


def problem_with_python() -> str:
    """Why no job can run at all, in one line; empty when there is an interpreter. Quick: starts nothing."""
    try:
        worker_python()
    except SardinoError as error:
        return str(error)
    return ""


def chosen_python() -> str:
    """The interpreter that the user chose; empty when the plugin's own environment shall be used."""
    return str(QgsSettings().value(_PYTHON, "") or "")


def choose_python(path: str) -> None:
    """Remember the interpreter; an empty path goes back to the plugin's own environment."""
    QgsSettings().setValue(_PYTHON, path)


def environment_folder() -> Path:
    """Where the plugin makes its own environment, on the user's wish.

    On Windows not in the profile: that may roam between machines, and its long path would break torch's installation.
    """
    local = os.environ.get("LOCALAPPDATA") if os.name == "nt" else None
    return Path(local or QgsApplication.qgisSettingsDirPath()) / "sardino" / "environment"


def models_folder() -> Path:
    """The folder whose model files are offered in every list of models."""
    named = str(QgsSettings().value(_MODELS, "") or "")
    return Path(named) if named else Path(QgsApplication.qgisSettingsDirPath()) / "sardino" / "models"


def choose_models_folder(path: str) -> None:
    """Remember the models folder; an empty path goes back to the one in the profile."""
    QgsSettings().setValue(_MODELS, path)


def known_models() -> list[str]:
    """What to offer as a model: the one that ships, then the files of the models folder."""
    return [STARTER, *sorted(map(str, models_folder().glob("*.safetensors")))]
