"""S3's XML: written from pairs of names and values, read from a request's body."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Union
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from byoc.local.s3.errors import malformed_xml
from byoc.local.wire import Response

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

Value = Union[str, int, None, "Children"]
Children = Sequence[tuple[str, Value]]

_CONTROL = re.compile("[\x00-\x1f\ufffe\uffff]")


def iso_time(epoch_s: float) -> str:
    """Return a time as S3's XML has it: whole seconds."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def document(root: str, children: Children, namespace: str = NAMESPACE) -> bytes:
    """Return a document: a value is text, a number, pairs of its own, or None for what is left out."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    return f"{DECLARATION}<{root}{attribute}>{_inside(children)}</{root}>".encode()


def answer(root: str, children: Children, status: int = 200) -> Response:
    """Return a document as a response."""
    return Response(status, document(root, children), {"content-type": "application/xml"})


def parse(body: bytes, root: str) -> ET.Element:
    """Return the root of a request's document, all names without their namespaces.

    Raises:
        AwsError: MalformedXML; also where it has another root, or declares entities.
    """
    if b"<!DOCTYPE" in body.replace(b"\0", b""):  # in UTF-16 too
        raise malformed_xml()
    try:
        found = ET.fromstring(body)  # noqa: S314 - without a DOCTYPE it has no entities
    except (ET.ParseError, ValueError) as error:
        raise malformed_xml() from error
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
    if found.tag != root:
        raise malformed_xml()
    return found


def text(element: ET.Element, path: str) -> str:
    """Return the text below an element, "" where there is none."""
    return element.findtext(path) or ""


def _inside(children: Children) -> str:
    return "".join(f"<{name}>{_written(value)}</{name}>" for name, value in children if value is not None)


def _written(value: Value) -> str:
    if isinstance(value, str):
        return _CONTROL.sub(lambda match: f"&#x{ord(match[0]):x};", escape(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _inside(value or ())
