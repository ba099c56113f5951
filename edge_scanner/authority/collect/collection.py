"""One box's bundle as it arrives: on disk, piece by piece, believed only as far as it is signed and hashed.

A folder per box holds what is certain: `answer.json`, `manifest.json`, `body.part`, at last `body.bin`. Which pieces of
a `body.part` are there is found by hashing it, so a crash at any moment costs nothing and no file can disagree with
another. Pieces that do not fit their hash are dropped and counted: a broker that swaps, cuts or invents them wastes
time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.authority import files
from edge_scanner.core.errors import BadDataError, LogError, MalformedError, StorageError
from edge_scanner.core.log import bundle
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull.answer import PIECE_BYTES, Part
from edge_scanner.core.pull.policy import Code

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.core.log.bundle import Manifest
    from edge_scanner.core.pull.answer import Answer, Piece
    from edge_scanner.core.pull.request import Request

ANSWER_NAME = "answer.json"
REQUEST_NAME = "request.json"
_PART_NAME = "body.part"
_SENT_NAME = "sent"
_ROW_BYTES = layout.CIPHERTEXT_BYTES + 9


class State(StrEnum):
    """Where a box stands; the words are in texts.json."""

    WAITING = "waiting"
    QUEUED = "queued"
    UNKNOWN = "unknown"
    ANSWERING = "answering"
    DONE = "done"
    REFUSED = "refused"
    DOUBTED = "doubted"
    """An answer came that the key in the list did not sign; a good one may still come."""
    BAD = "bad"
    """What the box signed contradicts itself; nothing more is asked of it."""
    NOT_ASKED = "not_asked"
    """The fleet took the box out, or nobody has its key."""


class Collection:
    """What has arrived from one box. `state`, `code`, `dropped` and `remaining_s` are for people."""

    def __init__(self, folder: Path, box: Box, request: Request) -> None:
        self.box = box
        self.state = State.WAITING
        self.code = ""
        self.dropped = 0
        self.remaining_s: float | None = None
        self.answer: Answer | None = None
        self._folder = folder
        self._request = request
        self._manifest: Manifest | None = None
        self._manifest_pieces: dict[int, bytes] = {}
        self._have: set[int] = set()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._resume()
        if self.state is not State.DONE and box.why_not_asked:
            self.state, self.code = State.NOT_ASKED, box.why_not_asked

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be asked."""
        return self.state in (State.DONE, State.REFUSED, State.BAD, State.NOT_ASKED)

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes that have arrived, and of how many."""
        if self.answer is None:
            return 0, 0
        return min(len(self._have) * PIECE_BYTES, self.answer.body_bytes), self.answer.body_bytes

    @property
    def sent(self) -> bool:
        """Whether the request was handed to the broker before, also by an earlier run."""
        return (self._folder / _SENT_NAME).exists()

    def mark_sent(self) -> None:
        """Remember that it was."""
        (self._folder / _SENT_NAME).touch(0o600)

    def take_answer(self, document: bytes) -> bool:
        """A signed answer, anything else is dropped and counted; whether there is something to do about it now."""
        try:
            answer = answers.read_answer(document, device=self.box.device, identity=self.box.key)
        except LogError:
            self.dropped += 1
            if self.answer is not None or self.finished or self.state is State.DOUBTED:
                return False
            self.state = State.DOUBTED
            return True
        if answer.request != self._request.digest or self.finished:
            return False
        if not answer.code:
            if self.answer is None:
                self._accept(answer, document)
                return True
            return False
        # A box that says "replayed" has answered; a late refusal says nothing about an answer that is here.
        if answer.code != Code.REPLAYED and (self.answer is None or answer.code == Code.GONE):
            self.state, self.code = State.REFUSED, answer.code
        return True

    def take_piece(self, piece: Piece) -> bool:
        """A piece; whether it was one that was missing."""
        if self.answer is None or piece.request != self._request.digest or self.finished:
            return False
        return self._take_manifest(piece) if piece.part is Part.MANIFEST else self._take_body(piece)

    def wanted(self, limit: int, asked: set[tuple[Part, int]]) -> list[tuple[Part, int]]:
        """The next missing pieces, without those `asked` for already; all of one part."""
        if self.answer is None or self.finished:
            return []
        if self._manifest is None:
            part, count, have = Part.MANIFEST, _pieces(self.answer.manifest_bytes), set(self._manifest_pieces)
        else:
            part, count, have = Part.BODY, len(self._manifest.chunks), self._have
        missing = (number for number in range(count) if number not in have and (part, number) not in asked)
        return [(part, number) for number, _ in zip(missing, range(limit), strict=False)]

    def _accept(self, answer: Answer, document: bytes) -> None:
        """A good answer, if its sizes are possible for the hours asked for."""
        hours = (self._request.to_s - self._request.from_s) // 3600 + 2
        # A clock that was set back lets segments overlap; a day of ten-minute runs has fewer than this.
        most = (hours * 12 + 2) * layout.MAX_FRAMES * _ROW_BYTES
        if answer.body_bytes > min(most, bundle.MAX_BODY_BYTES) or answer.manifest_bytes > bundle.MAX_MANIFEST_BYTES:
            self.state, self.code = State.BAD, "size"
            return
        files.write(self._folder / ANSWER_NAME, document, replace=True)
        self.answer, self.state = answer, State.ANSWERING

    def _take_manifest(self, piece: Piece) -> bool:
        assert self.answer is not None  # noqa: S101 (take_piece)
        if self._manifest is not None or piece.number >= _pieces(self.answer.manifest_bytes):
            return False
        self._manifest_pieces[piece.number] = piece.data
        if len(self._manifest_pieces) == _pieces(self.answer.manifest_bytes):
            document = b"".join(data for _, data in sorted(self._manifest_pieces.items()))
            self._manifest_pieces.clear()
            if hashlib.sha256(document).digest() != self.answer.manifest_sha256:
                self.dropped += 1
                return False
            self._open_manifest(document)
        return True

    def _open_manifest(self, document: bytes) -> None:
        assert self.answer is not None  # noqa: S101 (take_piece)
        try:
            manifest = bundle.read_manifest(document, device=self.box.device, identity=self.box.key)
            self._check(manifest)
        except LogError as error:
            self.state, self.code = State.BAD, error.code
            return
        files.write(self._folder / MANIFEST_NAME, document, replace=True)
        self._manifest = manifest
        self._finish_if_whole()

    def _check(self, manifest: Manifest) -> None:
        assert self.answer is not None  # noqa: S101 (take_piece)
        context = manifest.context
        if context.request != self._request.digest.hex() or manifest.body_bytes != self.answer.body_bytes:
            raise MalformedError("the manifest is not this request's", where=self.box.device)
        if (context.from_s, context.to_s) != (self._request.from_s, self._request.to_s):
            raise MalformedError("the manifest is for other hours", where=self.box.device)

    def _take_body(self, piece: Piece) -> bool:
        if self._manifest is None or piece.number in self._have:
            return False
        try:
            bundle.check_chunk(self._manifest, piece.number, piece.data)
        except LogError:
            self.dropped += 1
            return False
        self._write(piece)
        self._have.add(piece.number)
        self._finish_if_whole()
        return True

    def _write(self, piece: Piece) -> None:
        try:
            descriptor = os.open(self._folder / _PART_NAME, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, piece.data, piece.number * PIECE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(
                "the bundle cannot be written", where=str(self._folder), hint=error.strerror or ""
            ) from error

    def _finish_if_whole(self) -> None:
        if self._manifest is None or len(self._have) < len(self._manifest.chunks):
            return
        part = self._folder / _PART_NAME
        if not part.exists():
            part.touch(0o600)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
            whole = hashlib.file_digest(file, "sha256").digest()
        if whole != self._manifest.body_sha256:
            # Every chunk fits and the whole does not: the box signed a contradiction.
            self.state, self.code = State.BAD, "body-altered"
            return
        small_files.rename(part, self._folder / BODY_NAME)
        self.state = State.DONE

    def _resume(self) -> None:
        """Believe what an earlier run left, as far as it holds."""
        answer, manifest = self._folder / ANSWER_NAME, self._folder / MANIFEST_NAME
        if not answer.exists():
            return
        self.take_answer(files.read(answer))
        if self.answer is None or not manifest.exists():
            return
        found = bundle.read_manifest(files.read(manifest), device=self.box.device, identity=self.box.key)
        body = self._folder / BODY_NAME
        if not body.exists():
            body = self._folder / _PART_NAME
        if body.exists():
            with body.open("rb") as file:
                for number, digest in enumerate(found.chunks):
                    if hashlib.sha256(file.read(PIECE_BYTES)).digest() == digest:
                        self._have.add(number)
            small_files.rename(body, self._folder / _PART_NAME)
        self._open_manifest(files.read(manifest))


def copy_bundle(source: Path, target: Path, box: Box) -> Manifest:
    """A bundle from a USB stick, checked against its manifest's hashes while it is copied.

    Raises a LogError (BodyAlteredError, DocumentForgedError, WrongDeviceError), StorageError.
    """
    document = files.read(source / MANIFEST_NAME, limit=bundle.MAX_MANIFEST_BYTES)
    manifest = bundle.read_manifest(document, device=box.device, identity=box.key)
    if target.exists():
        raise StorageError("exists already", where=str(target), hint="choose another folder")
    try:
        target.mkdir(parents=True, mode=0o700)
        with (source / BODY_NAME).open("rb") as body, (target / _PART_NAME).open("xb") as copy:
            for number in range(len(manifest.chunks)):
                chunk = body.read(PIECE_BYTES)
                bundle.check_chunk(manifest, number, chunk)
                copy.write(chunk)
            if body.read(1):
                raise BadDataError("the body is longer than its manifest says", where=str(source / BODY_NAME))
            copy.flush()
            os.fsync(copy.fileno())
        small_files.rename(target / _PART_NAME, target / BODY_NAME)
    except OSError as error:
        raise StorageError("cannot be copied", where=str(error.filename or ""), hint=error.strerror or "") from error
    files.write(target / MANIFEST_NAME, document)
    return manifest


def _pieces(size: int) -> int:
    return -(-size // PIECE_BYTES)
