"""Colours for clusters that have no meaning of their own: from dark to light as the clusters are, hues far apart."""

from __future__ import annotations

import numpy as np

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))  # of hue, from one colour to the next: no two of the first dozens are close
_LIGHTNESS = (0.35, 0.92)  # of the first and the last, in OKLCh
_CHROMA = 0.17  # at most; less where the screen has no such colour
_TO_LMS = np.array(  # OKLab to cone responses, and those to linear sRGB (Ottosson 2020)
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def cluster_colours(count: int) -> list[str]:
    """`count` colours as #rrggbb, the darkest first."""
    lightness = np.linspace(*_LIGHTNESS, count) if count > 1 else [sum(_LIGHTNESS) / 2]
    return [_hex(float(light), index * _GOLDEN_ANGLE) for index, light in enumerate(lightness)]


def _hex(lightness: float, hue: float) -> str:
    """The most colourful that the screen has of that lightness and hue, up to _CHROMA."""
    for chroma in np.linspace(_CHROMA, 0, 35):
        lms = _TO_LMS @ [lightness, chroma * np.cos(hue), chroma * np.sin(hue)]
        linear = _TO_RGB @ lms**3
        if chroma == 0 or (linear.min() >= 0 and linear.max() <= 1):
            break
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * part):02x}" for part in encoded)
