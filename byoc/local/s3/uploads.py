"""Multipart uploads: parts come in any order and at once, and become one file, mostly without a copy."""

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from threading import Lock

from byoc.local.s3.blobs import Blobs, Digest, Draft, read_pieces
from byoc.local.s3.catalogue import Catalogue, Change, Row, description_from, key_bytes, key_from, packed
from byoc.local.s3.errors import conflict, no_such_upload
from byoc.local.s3.records import Description, StoredObject, Upload, UploadedPart

KEPT_S = 7 * 24 * 3600  # nobody comes back for an upload that is older when the server starts

Finish = Callable[[Path, int], StoredObject]

_COLUMNS = "id, bucket, key, started, description, algorithm, checksum_type"


def _upload_from(row: Row) -> Upload:
    upload_id, bucket, key, started, description, algorithm, checksum_type = row
    described = description_from(description)
    return Upload(upload_id, bucket, key_from(key), started, described, algorithm, checksum_type)


def _copy(placed: Sequence[tuple[UploadedPart, int]], file: Path) -> None:
    for part, offset in placed:
        draft = Draft(file, {}, offset=offset, shared=True)
        try:
            for piece in read_pieces(part.path, part.offset, part.size):
                draft.write(piece)
        finally:
            draft.close()


class Uploads:
    """The multipart uploads of an ObjectStore. Thread-safe.

    All parts but the last have one size as a rule, so a part's place in the object is known when it comes:
    it is written there at once, into a file that becomes the object. The size is that of the part that comes
    first; a part that does not fit its place, or comes a second time, is a file of its own until the end.
    """

    def __init__(self, catalogue: Catalogue, blobs: Blobs, clock: Callable[[], float]) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._clock = clock
        self._lock = Lock()
        self._writing: set[tuple[str, int]] = set()  # places that are written to just now
        self._completing: set[str] = set()

    def begin(
        self, bucket: str, key: str, description: Description, algorithm: str, checksum_type: str
    ) -> Upload:
        """Return a new upload."""
        upload = Upload(uuid.uuid4().hex, bucket, key, self._clock(), description, algorithm, checksum_type)
        described, file = packed(asdict(description)), self._blobs.empty()
        row = (upload.id, bucket, key_bytes(key), upload.started, described, algorithm, checksum_type)
        with self._catalogue.change() as change:
            change.execute("INSERT INTO uploads VALUES (?,?,?,?,?,?,?,?,0)", (*row, file.name))
        return upload

    def head(self, upload_id: str, bucket: str, key: str) -> Upload:
        """Return an upload under way (NoSuchUpload)."""
        query = f"SELECT {_COLUMNS} FROM uploads WHERE id = ? AND bucket = ? AND key = ?"  # noqa: S608
        row = self._catalogue.row(query, (upload_id, bucket, key_bytes(key)))
        if row is None:
            raise no_such_upload(upload_id)
        return _upload_from(row)

    def all(self, bucket: str, prefix: str = "") -> list[Upload]:
        """Return the uploads under way in a bucket, by key and then by age."""
        query = f"SELECT {_COLUMNS} FROM uploads WHERE bucket = ? ORDER BY key, started"  # noqa: S608
        found = map(_upload_from, self._catalogue.rows(query, (bucket,)))
        return [upload for upload in found if upload.key.startswith(prefix)]

    def parts(self, upload_id: str) -> list[UploadedPart]:
        """Return the parts that have come, by number."""
        query = (
            "SELECT number, size, etag, modified, checksums, blob, offset FROM parts WHERE upload = ? "
            "ORDER BY number"
        )
        rows = self._catalogue.rows(query, (upload_id,))
        return [
            UploadedPart(number, size, etag, at, json.loads(sums), self._blobs.folder / blob, offset)
            for number, size, etag, at, sums, blob, offset in rows
        ]

    def draft(self, upload_id: str, number: int, size: int, digests: Mapping[str, Digest]) -> Draft:
        """Return where a part of `size` bytes, no more, is to be written (NoSuchUpload).

        Give it to `keep` or to `drop`.
        """
        with self._lock:
            file, slot = self._file_of(upload_id)
            if upload_id in self._completing:
                raise no_such_upload(upload_id)
            if slot == 0 and size > 0:
                slot = size
                with self._catalogue.change() as change:
                    change.execute("UPDATE uploads SET slot = ? WHERE id = ?", (slot, upload_id))
            query = "SELECT 1 FROM parts WHERE upload = ? AND number = ? AND blob = ?"
            taken = self._catalogue.row(query, (upload_id, number, file.name))
            if taken or size > slot or (upload_id, number) in self._writing:
                return self._blobs.draft(digests)
            draft = Draft(file, digests, offset=(number - 1) * slot, shared=True)
            self._writing.add((upload_id, number))
            return draft

    def keep(
        self, upload_id: str, number: int, draft: Draft, etag: str, checksums: Mapping[str, str]
    ) -> UploadedPart:
        """Make a draft the part of that number, in the place of one that may be there (NoSuchUpload)."""
        draft.close()
        offset = draft.offset if draft.shared else 0
        part = UploadedPart(number, draft.size, etag, self._clock(), checksums, draft.path, offset)
        with self._lock, self._catalogue.change() as change:
            file, _slot = self._file_of(upload_id)
            for known in self.parts(upload_id):
                if known.number == number and known.path != file:
                    change.forget(known.path)
            sums, blob = packed(dict(checksums)), part.path.name
            row = (upload_id, number, part.size, etag, part.modified, sums, blob, offset)
            change.execute("INSERT OR REPLACE INTO parts VALUES (?,?,?,?,?,?,?,?)", row)
            if draft.shared:
                self._writing.discard((upload_id, number))
        return part

    def drop(self, upload_id: str, number: int, draft: Draft) -> None:
        """Forget a draft. Safe to repeat."""
        draft.discard()
        if draft.shared:
            self._writing.discard((upload_id, number))

    def complete(self, upload_id: str, chosen: Sequence[UploadedPart], finish: Finish) -> StoredObject:
        """Put the chosen parts together and end the upload; all in one step for whoever looks.

        Args:
            chosen: in their order; those not among them are lost.
            finish: given the file and its size, keeps the object; raises to refuse it (the upload stays).
        """
        with self._ending(upload_id):
            file, _slot = self._file_of(upload_id)
            path = self._assemble(upload_id, file, chosen)
            try:
                with self._catalogue.change() as change:
                    stored = finish(path, sum(part.size for part in chosen))
                    self._end(change, upload_id, path)
            except BaseException:
                if path != file:
                    path.unlink(missing_ok=True)
                raise
            return stored

    def abort(self, upload_id: str) -> None:
        """End an upload and remove its parts (NoSuchUpload)."""
        with self._ending(upload_id), self._catalogue.change() as change:
            self._end(change, upload_id, None)

    def forget_bucket(self, bucket: str) -> None:
        """Abort all uploads to a bucket."""
        for upload in self.all(bucket):
            self.abort(upload.id)

    def forget_old(self) -> None:
        """Abort what was begun KEPT_S ago or earlier."""
        query = "SELECT id FROM uploads WHERE started < ?"
        for (upload_id,) in self._catalogue.rows(query, (self._clock() - KEPT_S,)):
            self.abort(upload_id)

    def _file_of(self, upload_id: str) -> tuple[Path, int]:
        row = self._catalogue.row("SELECT blob, slot FROM uploads WHERE id = ?", (upload_id,))
        if row is None:
            raise no_such_upload(upload_id)
        return self._blobs.folder / row[0], row[1]

    @contextmanager
    def _ending(self, upload_id: str) -> Iterator[None]:
        with self._lock:
            if upload_id in self._completing:
                raise conflict()
            self._completing.add(upload_id)
        try:
            yield
        finally:
            self._completing.discard(upload_id)

    def _assemble(self, upload_id: str, file: Path, chosen: Sequence[UploadedPart]) -> Path:
        """Return a file of the chosen parts: the upload's own where they stand in it in their places."""
        offsets = list(accumulate((part.size for part in chosen), initial=0))
        placed = list(zip(chosen, offsets, strict=False))
        strays = [(part, offset) for part, offset in placed if part.path != file]
        at_home = all(part.path != file or part.offset == offset for part, offset in placed)
        late = any(writing == upload_id for writing, _number in list(self._writing))
        if at_home and not late and len(chosen) == len(self.parts(upload_id)):
            _copy(strays, file)
            os.truncate(file, offsets[-1])
            return file
        path = self._blobs.empty()
        _copy(placed, path)
        return path

    def _end(self, change: Change, upload_id: str, kept: Path | None) -> None:
        file, _slot = self._file_of(upload_id)
        for path in {file, *(part.path for part in self.parts(upload_id))} - {kept}:
            change.forget(path)
        change.execute("DELETE FROM parts WHERE upload = ?", (upload_id,))
        change.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
