"""Reading the records of a file one after the other, in bounded memory, from any record on.

Each reader yields (record, end): `record` is the parsed value or a `BadRecord`, `end` the offset in
unpacked bytes just behind it, from which a reader can go on.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

MAX_RECORD_BYTES: Final = 2 * 1024 * 1024
"""Parsed, the worst of such records takes over twenty times its size in memory."""
_PIECE: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_MARK: Final = 16
"""Characters that may be read together: -Infinity, or an escape of two halves."""
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_BLANKS: Final = ("", " ", "\t", "\r", "\n")
_COMMA: Final = re.compile(r"[ \t\r\n]*,[ \t\r\n]*(?=[^ \t\r\n])")


class _NoValueError(ValueError):
    """NaN and the like."""


def _refuse_constant(name: str) -> Any:
    raise _NoValueError(f"{name} is no JSON value")


DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
"""Python's own would admit NaN and Infinity."""

Cells = Mapping[str, Callable[[str], Any]]
"""Column to the function that reads its cells."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read; the reader goes on behind it."""

    code: str
    message: str


class UnreadableFileError(ValueError):
    """The file breaks off or is not of its media type, and there is nothing behind to go on with."""


def read_ndjson(file: IO[bytes], start: int) -> Iterator[tuple[Any, int]]:
    """One JSON value per line; blank lines count for nothing."""
    _skip(file, start)
    end = start
    parse = DECODER.decode
    while line := file.readline(MAX_RECORD_BYTES):
        end += len(line)
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            end += _skip_line(file)
            yield _too_large(), end
            continue
        if line.isspace():
            continue
        if end == len(line) and line.startswith(_BOM):
            line = line[3:]
        try:
            record = parse(line.decode())
        except (ValueError, RecursionError) as error:
            record = _no_json(error)
        yield record, end


def read_json_array(file: IO[bytes], start: int) -> Iterator[tuple[Any, int]]:
    """The elements of one JSON array.

    Raises `UnreadableFileError` where the array breaks off or is none: behind a syntax error nobody
    can tell where the next element begins.
    """
    scanner = _Scanner(file, start)
    if start == 0:
        scanner.expect("[")
        if scanner.peek() == "]":
            scanner.take()
            scanner.finish()
            return
    elif not _go_on(scanner):
        return
    while True:
        yield from scanner.plain_values()
        record = scanner.value()
        yield record, scanner.offset
        if not scanner.passes_comma() and not _go_on(scanner):
            return


def _go_on(scanner: _Scanner) -> bool:
    """Behind an element: true at the next one, false at the end of the array."""
    mark = scanner.peek()
    if mark == ",":
        scanner.take()
        return True
    if mark == "]":
        scanner.take()
        scanner.finish()
        return False
    raise scanner.broken("a comma or the end of the array")


def read_csv(file: IO[bytes], start: int, cells: Cells) -> Iterator[tuple[Any, int]]:
    """One object per line, its names from the header line. An empty cell is a missing property."""
    lines = _Lines(file)
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, None)
    except csv.Error as error:
        raise UnreadableFileError(f"The header line cannot be read: {error}.") from error
    if not header or len(set(header)) != len(header):
        raise UnreadableFileError("The first line must name the columns, each once.")
    if start > lines.end:
        _skip(file, start - lines.end)
        lines.end = start
    typed = [(name, read) for name, read in cells.items() if name in header and read is not str]
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRecord("RECORD_NOT_CSV", f"The line is no CSV: {error}."), lines.end
            continue
        if not row:
            continue
        if len(row) != len(header):
            message = f"The line has {len(row)} cells, the header {len(header)}."
            yield BadRecord("RECORD_NOT_CSV", message), lines.end
            continue
        record: dict[str, Any] = dict(zip(header, row, strict=True))
        if "" in row:
            record = {name: cell for name, cell in record.items() if cell}
        for name, read in typed:
            if name in record:
                record[name] = read(record[name])
        yield record, lines.end


class _Lines:
    """The lines of a file as text; `end` counts the bytes handed out.

    Bytes that are no UTF-8 become lone surrogates, which no validator admits.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.end = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_RECORD_BYTES)
        if not line:
            raise StopIteration
        if self.end == 0 and line.startswith(_BOM):
            self.end, line = 3, line[3:]
        self.end += len(line)
        return line.decode("utf-8", "surrogateescape")


class _Scanner:
    """Text of a JSON file, as much of it as one element needs; `offset` is in bytes of the file."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        _skip(file, start)
        self.offset = start
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if start == 0 else "utf-8")("strict")
        self._parse = DECODER.raw_decode
        self._text = ""
        self._is_ascii = True
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not blank; "" at the end of the file."""
        while True:
            self._move(_BLANK.match(self._text, self._at).end())  # type: ignore[union-attr]  # matches ""
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill(_PIECE):
                return ""

    def plain_values(self) -> Iterator[tuple[Any, int]]:
        """The elements from here on that the text holds whole, with a comma and what is behind it.

        Whatever is not plain is left to `value`.
        """
        text, parse, is_ascii = self._text, self._parse, self._is_ascii
        while True:
            at = self._at
            try:
                value, end = parse(text, at)
            except (ValueError, RecursionError):
                return
            comma = _COMMA.match(text, end)
            if comma is None:
                return
            offset = self.offset + (end - at if is_ascii else len(text[at:end].encode()))
            self._at = comma.end()
            self.offset = offset + self._at - end
            yield value, offset

    def passes_comma(self) -> bool:
        """Go on to the next element where the text holds the way to it; else leave everything as it is."""
        comma = _COMMA.match(self._text, self._at)
        if comma is None:
            return False
        self.offset += comma.end() - self._at  # blanks and commas are bytes
        self._at = comma.end()
        return True

    def take(self) -> None:
        self.offset += 1  # a mark is one byte
        self._at += 1

    def expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.broken(f"{mark!r}")
        self.take()

    def finish(self) -> None:
        if self.peek():
            raise self.broken("the end of the file")

    def value(self) -> Any:
        """The next JSON value. Raises `UnreadableFileError`."""
        if self._text[self._at : self._at + 1] in _BLANKS:
            self.peek()
        need = _PIECE
        while True:
            problem: ValueError | None = None
            value, end = None, len(self._text)
            try:
                value, end = self._parse(self._text, self._at)
            except RecursionError:
                raise UnreadableFileError("An element is nested too deep to be read.") from None
            except ValueError as error:
                problem = error
                if self._is_lasting(error):
                    raise self._no_json(error) from error
            if problem is None and (end + 2 < len(self._text) or self._ended or not self._may_go_on(end)):
                self._move(end)
                return value
            if len(self._text) - self._at > MAX_RECORD_BYTES:
                raise self.broken(f"an element of at most {MAX_RECORD_BYTES} bytes")
            if not self._fill(need):
                if problem is None:
                    continue
                raise self._no_json(problem) from problem
            need *= 2

    def _may_go_on(self, end: int) -> bool:
        """Whether a value that ends there may go on in the file: 12 as 123, 1 and `e-` as 1e-7."""
        rest = self._text[end : end + 3]
        return not rest or (len(rest) < 3 and rest[0] in ".eE")

    def _is_lasting(self, error: ValueError) -> bool:
        """Whether no text behind it could mend the error: it is not about an end that may go on."""
        if isinstance(error, json.JSONDecodeError):
            return error.pos < len(self._text) - _LONGEST_MARK and not error.msg.startswith("Unterminated")
        return isinstance(error, _NoValueError)

    def _no_json(self, error: ValueError) -> UnreadableFileError:
        return UnreadableFileError(f"The element at byte {self.offset} is no JSON: {error}.")

    def broken(self, expected: str) -> UnreadableFileError:
        return UnreadableFileError(f"At byte {self.offset} the file should have {expected}.")

    def _move(self, at: int) -> None:
        self.offset += at - self._at if self._is_ascii else len(self._text[self._at : at].encode())
        self._at = at

    def _fill(self, need: int) -> bool:
        """Read more, dropping what was passed; false at the end of the file."""
        if self._ended:
            return False
        piece = self._file.read(need)
        self._ended = not piece
        before = self.offset
        try:
            text = self._decoder.decode(piece, final=self._ended)
        except UnicodeDecodeError as error:
            raise UnreadableFileError(f"Behind byte {before} the file is not UTF-8.") from error
        if before == 0 and not self._text and piece.startswith(_BOM):
            self.offset = 3
        self._text = self._text[self._at :] + text
        self._is_ascii = self._text.isascii()
        self._at = 0
        return True


def _skip(file: IO[bytes], count: int) -> None:
    """Pass over `count` bytes: by a seek where that is cheap, else (gzip) by reading."""
    if count:
        file.seek(count, 1)


def _skip_line(file: IO[bytes]) -> int:
    skipped = 0
    while piece := file.readline(_PIECE):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _too_large() -> BadRecord:
    return BadRecord("RECORD_TOO_LARGE", f"The record has over {MAX_RECORD_BYTES} bytes.")


def _no_json(error: Exception) -> BadRecord:
    reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    return BadRecord("RECORD_NOT_JSON", f"The line is no JSON: {reason}."[:300])
