"""What the explorer lays over the map: a picture, its frame and a cross. They are no layers: no project keeps them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsVertexMarker
from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPen, QPolygonF, QTransform

from sar_dino_qgis.gui.explorer_answer import Picture

_FRAME = QColor(255, 255, 255)
_CROSS = QColor(255, 23, 68)  # seen on both ramps


class Overlay:
    """Picture and cross on one canvas; what shows them goes with `clear`."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._opacity = 1.0
        self.item: PictureItem | None = None
        self.cross: QgsVertexMarker | None = None

    def mark(self, place: QgsPointXY) -> None:
        """Put the cross on a place, in the map's CRS."""
        if self.cross is None:
            self.cross = QgsVertexMarker(self._canvas)
            self.cross.setIconType(QgsVertexMarker.IconType.ICON_CROSS)
            self.cross.setColor(_CROSS)
            self.cross.setIconSize(18)
            self.cross.setPenWidth(3)
            self.cross.setZValue(2)
        self.cross.setCenter(place)

    def show(self, picture: Picture) -> None:
        """Show this picture instead of another."""
        self._remove(self.item)
        self.item = PictureItem(self._canvas, picture)
        self.item.setOpacity(self._opacity)

    def fade(self, opacity: float) -> None:
        """How opaque pictures are, 0 to 1."""
        self._opacity = opacity
        if self.item is not None:
            self.item.setOpacity(opacity)

    def clear(self) -> None:
        """Take all away."""
        self._remove(self.item)
        self._remove(self.cross)
        self.item = self.cross = None

    def _remove(self, item: QgsMapCanvasItem | None) -> None:
        if item is not None:
            self._canvas.scene().removeItem(item)


class PictureItem(QgsMapCanvasItem):
    """A picture at its place on the map, also where that is turned."""

    def __init__(self, canvas: QgsMapCanvas, picture: Picture) -> None:
        super().__init__(canvas)
        self._canvas, self.picture = canvas, picture
        self.setZValue(1)
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(self._canvas.rect())

    def updatePosition(self) -> None:
        self.prepareGeometryChange()
        self.update()

    def paint(self, painter: QPainter, *options: Any) -> None:
        """In pixels of the canvas."""
        image, (origin, right, below) = self.picture.image, self._corners()
        along, down = (right - origin) / image.width(), (below - origin) / image.height()
        painter.save()
        painter.setTransform(QTransform(along.x(), along.y(), down.x(), down.y(), origin.x(), origin.y()), True)
        painter.drawImage(0, 0, image)
        painter.restore()
        pen = QPen(_FRAME, 1.5, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawPolygon(QPolygonF([origin, right, right + below - origin, below]))

    def _corners(self) -> tuple[QPointF, QPointF, QPointF]:
        """Upper left, upper right and lower left."""
        area = self.picture.extent
        places = ((area.xMinimum(), area.yMaximum()), (area.xMaximum(), area.yMaximum()),
                  (area.xMinimum(), area.yMinimum()))  # fmt: skip
        origin, right, below = (self.toCanvasCoordinates(QgsPointXY(*place)) for place in places)
        return origin, right, below
