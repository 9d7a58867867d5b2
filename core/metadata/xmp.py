"""What an XMP packet says of its picture in words: description, title, comment; and the packet that we write.

A packet is read as a stream of its elements, so that neither its depth nor its size costs anything to speak of, and
a packet that declares entities, which none does that a program wrote for a picture, is not read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from xml.parsers import expat
from xml.sax.saxutils import escape

from ..printable import printable

MOST_BYTES = 2 * 2**20
OWN = "Unrender description"
"""The name of a description that we wrote ourselves."""

_BETWEEN = " "
_DESCRIPTION = "http://purl.org/dc/elements/1.1/ description"
_NAMES = {
    _DESCRIPTION: "XMP description",
    "http://purl.org/dc/elements/1.1/ title": "XMP title",
    "http://ns.adobe.com/exif/1.0/ UserComment": "XMP user comment",
    "http://ns.adobe.com/tiff/1.0/ ImageDescription": "XMP image description",
    "http://ns.adobe.com/photoshop/1.0/ Headline": "XMP headline",
    "http://ns.adobe.com/xap/1.0/ CreatorTool": "XMP creator tool",
}

_OWN_PACKET = (
    """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>\
<rdf:li xml:lang="x-default">""",
    """</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""",
)
"""No other program writes it to the letter, so that it is known again."""


def xmp_packet(text: str) -> bytes:
    """A whole XMP packet that says `text` describes the picture."""
    return escape(printable(text)).join(_OWN_PACKET).encode()


def xmp_texts(packet: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each property that is known here: the first of its languages, which is the default one."""
    reader = _Reader()
    is_own = packet.startswith(_OWN_PACKET[0].encode()) and packet.endswith(_OWN_PACKET[1].encode())
    parser = expat.ParserCreate(namespace_separator=_BETWEEN)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _refuse
    with contextlib.suppress(expat.ExpatError, ValueError):  # what came before the fault stands
        parser.Parse(packet[:MOST_BYTES].strip(b" \0\r\n\t"), True)
    for name, parts in reader.found.items():
        text = "".join(parts).strip()
        if text:
            yield OWN if name == _NAMES[_DESCRIPTION] and is_own else name, text


def _refuse(*_: object) -> None:
    raise ValueError("a document type")


class _Reader:
    """Collects the text inside the elements that are known, and of the attributes that say the same in short."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self._name = ""
        self._depth = 0
        self._items = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            if name in _NAMES:
                self.found.setdefault(_NAMES[name], [value])
        if self._name:
            self._depth += 1
            self._items += tag.endswith(" li")
        elif tag in _NAMES and _NAMES[tag] not in self.found:
            self._name, self._depth, self._items = _NAMES[tag], 1, 0
            self.found[self._name] = []

    def end(self, _tag: str) -> None:
        if self._name:
            self._depth -= 1
            if not self._depth:
                self._name = ""

    def data(self, text: str) -> None:
        if self._name and self._items <= 1:
            self.found[self._name].append(text)
