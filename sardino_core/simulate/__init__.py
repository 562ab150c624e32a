"""Physically based Sentinel-1 IW GRDH scenes with labels, for tests, demonstrations and benchmarks: never evidence.

What is physical: relief and side-looking geometry, speckle through the sensor's point response, the noise floor. What
is approximate: the means of the covers (see `covers.py`), water under wind (`water.py`), and the geography, which is
invented. Every scene says in its tags that it is simulated.
"""

from sardino_core.simulate.places import simulate_missing, varied
from sardino_core.simulate.scene import NOTICE, WORLDCOVER, simulate_arrays, simulate_scene
from sardino_core.simulate.speckle_statistics import SpeckleStatistics, measure

__all__ = [
    "NOTICE",
    "WORLDCOVER",
    "SpeckleStatistics",
    "measure",
    "simulate_arrays",
    "simulate_missing",
    "simulate_scene",
    "varied",
]
