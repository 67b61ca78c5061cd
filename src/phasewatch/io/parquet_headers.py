"""Computes from the headers of a Parquet file how much memory it takes to read.

Arrow's reader allocates what headers claim, and ends the process where some of them contradict
each other. They are therefore read here first, and nothing is unpacked: the structures of
https://github.com/apache/parquet-format (`parquet.thrift`) in Thrift's compact protocol
(https://github.com/apache/thrift, `thrift-compact-protocol.md`). Headers that two readers could
interpret differently are refused.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

MAGIC = b"PAR1"

FOOTER_MOST, PAGE_MOST = 1 << 20, 1 << 14
"""Most bytes of the footer and of the header of a page; an episode's have about 750 and 30."""

FORMS_MOST, FORM_MOST = 8, 1 << 12
"""How many header patterns are stored, and of how many bytes each: one writer needs two."""

_FIELD_MOST, _DEEPEST = (1 << 15) - 1, 16
"""The highest number of a field, and the greatest depth of structures."""

_WIDE = 8
"""Bytes of a value that is not a text."""

_BOOLEANS, _I8, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = (1, 2), 3, 4, 5, 6, 8, 9, 12
"""Thrift's types."""

_NUMBERS = (_I16, _I32, _I64)
_ELEMENTS = {(3, 2): _NUMBERS, (3, 3): (_BINARY,), (4, 2): _NUMBERS, (4, 3): _NUMBERS}
"""The types of elements, by depth and number of a list, where they are not structures.

Arrow does not check the type that the list itself states."""


def _field(number: int, kind: int) -> int:
    """Return a field's key: its number and type, since readers skip a field of another type."""
    return number << 4 | kind


# FileMetaData, SchemaElement, RowGroup, ColumnChunk
_SCHEMA, _GROUPS = _field(2, _LIST), _field(4, _LIST)
_TYPE = _field(1, _I32)
_COLUMNS, _ROWS = _field(1, _LIST), _field(3, _I64)
_META_DATA = _field(3, _STRUCT)

# ColumnMetaData
_VALUES, _LENGTH = _field(5, _I64), _field(7, _I64)
_DATA, _DICTIONARY = _field(9, _I64), _field(11, _I64)

# PageHeader and the structure in it, by the kind of page; encodings of data in versions 1 and 2
_UNPACKED, _PACKED = _field(2, _I32), _field(3, _I32)
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_2 = (_field(number, _STRUCT) for number in (5, 7, 8))
_COUNT = _field(1, _I32)
_ENCODING = {_DATA_PAGE: _field(2, _I32), _DATA_PAGE_2: _field(4, _I32)}

_TEXT = 6
"""The physical type BYTE_ARRAY."""

_VERBATIM = (0, 6)
"""The encodings PLAIN and DELTA_LENGTH_BYTE_ARRAY, in which a page contains every text."""

Fields = dict[int, Any]
"""A structure by `_field`; a number is given by its place among the header's numbers, from 1."""


class _Form(NamedTuple):
    """The common form of one writer's headers: a pattern whose groups are the numbers."""

    pattern: re.Pattern[bytes]
    fields: Fields


_FORMS: list[_Form] = []


class _Header:
    """A header, or a structure in one, whose numbers are read on access."""

    __slots__ = ("_data", "_fields", "_start")

    def __init__(self, data: bytes, start: Callable[[int], int], fields: Fields) -> None:
        self._data, self._start, self._fields = data, start, fields

    def __contains__(self, field: int) -> bool:
        return field in self._fields

    def number(self, field: int) -> int:
        """Return the number in that field. Raises KeyError where there is none."""
        value, _ = _varint(self._data, self._start(self._fields[field]))
        return value >> 1 ^ -(value & 1)

    def within(self, field: int) -> "_Header":
        """Return the structure in that field. Raises KeyError where there is none."""
        return _Header(self._data, self._start, self._fields[field])

    def each(self, field: int) -> list["_Header"]:
        """Return the structures in the list of that field. Raises KeyError where there is none."""
        return [_Header(self._data, self._start, one) for one in self._fields[field]]


def unpacked_size(data: bytes) -> int:
    """Return an upper bound in bytes of the unpacked pages of `data` and the values in them.

    Raises ValueError where it is no Parquet file, or one whose pages do not fill its columns.
    """
    if len(data) < 12 or data[:4] != MAGIC or data[-4:] != MAGIC:
        raise ValueError("it does not begin and end as a Parquet file does")
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    if length > FOOTER_MOST or start < 4:
        raise ValueError(f"its footer claims {length:,} bytes")
    try:
        footer, _ = _header(data, start, len(data) - 8)
        types = [one.number(_TYPE) for one in footer.each(_SCHEMA)[1:] if _TYPE in one]
        columns = [
            (kind, column.within(_META_DATA), group.number(_ROWS))
            for group in footer.each(_GROUPS)
            for kind, column in zip(types, group.each(_COLUMNS), strict=True)
        ]
        if sum(header.number(_LENGTH) for _, header, _ in columns) > start:
            raise ValueError("its columns are longer than the file")
        return sum(_column(data, start, *column) for column in columns)
    except KeyError as error:
        raise ValueError("a header lacks a field") from error
    except IndexError as error:
        raise ValueError("a header is cut short") from error


def _column(data: bytes, most: int, physical_type: int, header: _Header, rows: int) -> int:
    """Return the bound in bytes of one column chunk, which must end before `most`.

    `header` is its ColumnMetaData, and `rows` counts the rows of its group. Raises ValueError.
    """
    at = header.number(_DATA)
    dictionary = header.number(_DICTIONARY) if _DICTIONARY in header else 0
    if 0 < dictionary < at:
        at = dictionary
    end = at + header.number(_LENGTH)
    if not 0 <= at <= end <= most:
        raise ValueError("a column lies outside the pages")
    if not header.number(_VALUES):
        # Arrow reads no page of such a column, and the offsets that it writes there are unusable.
        return max(rows, 0) * _WIDE
    values, size, repeats, largest = 0, 0, False, 0
    while at < end:
        page, at = _header(data, at, min(end, at + PAGE_MOST))
        unpacked, packed = page.number(_UNPACKED), page.number(_PACKED)
        if unpacked < 0 or packed < 0:
            raise ValueError("a page has fewer than no bytes")
        at += packed
        size, largest = size + unpacked, max(largest, unpacked)
        for kind, encoding in _ENCODING.items():
            if kind in page:
                values += _count(page.within(kind))
                repeats |= page.within(kind).number(encoding) not in _VERBATIM
        if _DICTIONARY_PAGE in page:
            size += _WIDE * _count(page.within(_DICTIONARY_PAGE))
    if at != end or values != header.number(_VALUES):
        raise ValueError("the pages of a column do not fill it")
    width = largest if physical_type == _TEXT and repeats else 0
    return size + max(values, rows) * (_WIDE + width)


def _count(page: _Header) -> int:
    """Return how many values a page has. Raises ValueError for a negative number."""
    if (count := page.number(_COUNT)) < 0:
        raise ValueError("a page has fewer than no values")
    return count


def _header(data: bytes, at: int, most: int) -> tuple[_Header, int]:
    """Return the header at `at`, and where it ends, which is before `most`.

    One that differs from an earlier one in numbers alone is matched, which takes a tenth of the
    time of reading it.
    """
    for form in _FORMS:
        if found := form.pattern.match(data, at, most):
            return _Header(data, found.start, form.fields), found.end()
    part, starts = data[at:most], [0]
    fields, length = _structure(part, 0, starts)
    if len(_FORMS) < FORMS_MOST and length <= FORM_MOST:
        _FORMS.append(_Form(_pattern(part[:length], starts[1:]), fields))
    return _Header(part, starts.__getitem__, fields), at + length


def _pattern(header: bytes, starts: list[int]) -> re.Pattern[bytes]:
    """Return a pattern for headers that differ from this one in their numbers alone."""
    parts, at = [], 0
    for start in starts:
        parts.append(re.escape(header[at:start]))
        _, at = _varint(header, start)
    number = rb"([\x80-\xff]{0,8}[\x00-\x7f])"
    return re.compile(number.join([*parts, re.escape(header[at:])]))


def _structure(data: bytes, at: int, starts: list[int], depth: int = 0) -> tuple[Fields, int]:
    """Return the structure at `at`, and its end; the places of its numbers are added to `starts`.

    Raises ValueError, and IndexError where it is cut short.
    """
    if depth > _DEEPEST:
        raise ValueError("its headers lie too deep in each other")
    fields: Fields = {}
    number = 0
    while head := data[at]:
        before, kind = number, head & 15
        number, at = (before + (head >> 4), at + 1) if head > 15 else _integer(data, at + 1)
        if not before < number <= _FIELD_MOST:
            raise ValueError("the fields of a header are out of order, or too many")
        fields[_field(number, kind)], at = _value(data, at, starts, depth, number, kind)
    return fields, at + 1


def _value(
    data: bytes, at: int, starts: list[int], depth: int, number: int, kind: int
) -> tuple[Any, int]:
    """Return the value of a field, or None where it is not needed, and where it ends."""
    if kind in _BOOLEANS:
        return None, at
    if kind in _NUMBERS:
        starts.append(at)
        return len(starts) - 1, _varint(data, at)[1]
    if kind == _STRUCT:
        return _structure(data, at, starts, depth + 1)
    if kind == _LIST:
        return _list(data, at, starts, depth, number)
    if kind == _BINARY:
        length, at = _varint(data, at)
        return None, at + length
    if kind == _I8:
        return None, at + 1
    raise ValueError("a header has a field of an unknown type")


def _list(
    data: bytes, at: int, starts: list[int], depth: int, number: int
) -> tuple[list[Any], int]:
    """Return the elements of the list at `at`, and where it ends."""
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    if count and kind not in _ELEMENTS.get((depth, number), (_STRUCT,)):
        raise ValueError("a header has a list of another type")
    found = []
    for _ in range(count):
        value, at = _value(data, at, starts, depth, number, kind)
        found.append(value)
    return found, at


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """Return the signed number at `at` (zigzag), and where it ends."""
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the unsigned number at `at` (7 bits a byte, the lowest first), and where it ends."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value = byte & 127
    for shift in range(7, 64, 7):
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            break
    if byte > 127 or value >> 64:
        raise ValueError("a header has a number of over 64 bits")
    return value, at + 1
