import base64
import io
from html.parser import HTMLParser

import pytest
from PIL import Image

from sardino_core.analysis.report_page import Bar, Cell, Page, number, percent

HOSTILE = '<script>alert("x")</script>&"\''


class Reader(HTMLParser):
    """Tags, attributes and texts; raises when tags do not close in order."""

    void = ("meta", "img")

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(name=HOSTILE):
    made = Page(name, name)
    made.heading(name)
    made.text(name, "warning")
    made.facts([(name, name)])
    made.table([name, "n"], [[Cell(name, 0.5, swatch=name), "1"], [Cell("b", 0.2, wrong=True), "2"]], name)
    made.chart([Bar(name, name, 10.0, 2.0, 9.0), Bar("b", "#00ff00", 0.0)], name, name)
    return Reader(made.html())


def test_texts_of_strangers_stay_texts():
    read = page()
    assert "script" not in read.tags
    assert sum(HOSTILE[:22] in text for text in read.texts) >= 9


def test_the_page_needs_nothing_else():
    read = page("plain")
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name in ("src", "href") or name.startswith("on")]
    assert not [value for _, value in read.attributes if value and ("http" in value or "url(" in value)]


def test_a_chart_is_to_scale():
    read = page("plain")
    widths = [float(value) for name, value in read.attributes if name == "width" and value.replace(".", "").isdigit()]
    assert 0.0 in widths
    longest = max(width for width in widths[1:])
    assert longest == pytest.approx(500 * 10 / 12, abs=0.1)  # the whisker of 10 + 2 reaches the end


def test_numbers_as_people_read_them():
    assert percent(0.9465, 0.0185) == "94.7 ± 1.9 %" or percent(0.9465, 0.0185) == "94.7 ± 1.8 %"
    assert percent(0.5) == "50.0 %" and percent(float("nan")) == "–"
    assert number(1234567.8) == "1\u202f234\u202f568"
    assert (number(12.34), number(0.456), number(3), number(float("nan"))) == ("12.3", "0.46", "3", "–")


def test_a_picture_lies_inside_the_page_at_half_its_pixels():
    buffer = io.BytesIO()
    Image.new("RGB", (64, 10)).save(buffer, "png")
    page = Page("Report")
    page.picture(buffer.getvalue(), HOSTILE)
    found = Reader(page.html())
    attributes = dict(found.attributes)
    assert attributes["width"] == "32"
    assert attributes["alt"] == HOSTILE
    assert base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,")) == buffer.getvalue()
