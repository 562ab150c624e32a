"""The widgets in Processing's own dialogs: what a user chooses is what the algorithm gets."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import pytest
from processing.gui.AlgorithmDialog import AlgorithmDialog
from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QFileDialog

from sar_dino_qgis.gui.model_widget import ModelChooser, card
from sar_dino_qgis.settings import choose_models_folder, known_models
from sardino_core.contract.model_reader import resolve_model


@pytest.fixture
def models(tmp_path):
    """A models folder with one model of the user's own."""
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(resolve_model("starter"), folder / "mine.safetensors")
    choose_models_folder(str(folder))
    yield folder
    choose_models_folder("")


def test_the_models_folder_is_offered_with_cards(qapp, models, qtbot):
    chooser = ModelChooser()
    qtbot.addWidget(chooser)
    assert [chooser.list.itemText(number) for number in range(chooser.list.count())] == ["starter", "mine"]
    assert chooser.value() == "starter"
    chooser.list.setCurrentIndex(1)
    assert chooser.value() == str(models / "mine.safetensors")
    assert "VV, VH" in chooser.list.toolTip() and "water" in chooser.list.toolTip()


def test_another_models_folder_is_chosen_from_the_menu(plugin, models, tmp_path, monkeypatch):
    (tmp_path / "others").mkdir()
    shutil.copy(resolve_model("starter"), tmp_path / "others" / "theirs.safetensors")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *given: "")  # cancelled: nothing changes
    plugin.ask_models_folder()
    assert [Path(name).stem for name in known_models()] == ["starter", "mine"]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *given: str(tmp_path / "others"))
    plugin.ask_models_folder()
    assert [Path(name).stem for name in known_models()] == ["starter", "theirs"]


def test_any_path_can_be_typed(qapp, qtbot):
    chooser = ModelChooser()
    qtbot.addWidget(chooser)
    chooser.set_value("/some/where/else.safetensors")
    assert chooser.value() == "/some/where/else.safetensors"
    assert "does not exist" in card(chooser.value())


def test_the_dialog_gives_what_was_chosen(plugin, models, scene, qtbot):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
    dialog = AlgorithmDialog(algorithm)
    qtbot.addWidget(dialog)
    mine = str(models / "mine.safetensors")
    dialog.setParameters({"INPUT": [scene], "MODEL": mine, "ABSTAIN": False, "UNITS": "db"})
    given = dialog.createProcessingParameters()
    assert (given["MODEL"], given["ABSTAIN"], given["UNITS"]) == (mine, False, "db")


def test_the_batch_dialog_makes_a_map_of_every_scene(plugin, scene, tmp_path, qtbot):
    scenes = [str(tmp_path / f"scene{number}.tif") for number in range(3)]
    for path in scenes:
        shutil.copy(scene, path)
    dialog = BatchAlgorithmDialog(QgsApplication.processingRegistry().createAlgorithmById("sardino:segment"))
    qtbot.addWidget(dialog)
    panel, context = dialog.mainWidget(), QgsProcessingContext()
    panel.addRow(len(scenes) - panel.batchRowCount())
    panel.checkLoadLayersOnCompletion.setChecked(True)
    for row, path in enumerate(scenes):
        panel.wrappers[row][panel.parameter_to_column["INPUT"]].setParameterValue([path], context)
        panel.tblParameters.cellWidget(row + 1, panel.parameter_to_column["OUTPUT"]).setValue(
            path.replace(".", "_map.")
        )
        assert panel.parametersForRow(row)[0]["MODEL"] == "starter"
    beats, clock = [], QTimer()
    clock.timeout.connect(lambda: beats.append(time.monotonic()))
    clock.start(10)
    dialog.runAlgorithm()  # QGIS runs a batch in the main thread
    clock.stop()
    layers = {layer.name(): layer.renderer().type() for layer in QgsProject.instance().mapLayers().values()}
    QgsProject.instance().clear()
    assert layers == {f"Land cover, scene{number} (starter)": "paletted" for number in range(3)}
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < 1.0  # the window stayed alive
