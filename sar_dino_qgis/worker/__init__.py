"""The other side of the door: the worker process and its Python environment. No QGIS here: plain Python tests it.

Importing this package makes `sardino_core.contract` importable, too; see `core_path`.
"""

from sar_dino_qgis.worker.core_path import provide_core

provide_core()
