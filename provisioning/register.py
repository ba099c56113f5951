"""The inventory's other half: which certificates were given and taken back, and which batches may install boxes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from provisioning import certificates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


class Register:
    """Certificates and batches; inventory.py adds the boxes. Every method is one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def keep_certificate(self, device_id: str, pem: bytes, *, now_s: float) -> None:
        """Remember a certificate that the issuing CA gave, so that it can be revoked."""
        certificate = certificates.load_certificate(pem)
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO certificate(serial, device_id, not_after_s, issued_s, pem)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    f"{certificate.serial_number:x}",
                    device_id,
                    int(certificate.not_valid_after_utc.timestamp()),
                    int(now_s),
                    pem.decode(),
                ),
            )

    def revoke(self, name: str, reason: str, *, now_s: float) -> int:
        """Mark every certificate of a name as revoked; how many there are."""
        with self._transaction():
            self._db.execute(
                "UPDATE certificate SET revoked_s = ?, reason = ? WHERE device_id = ? AND revoked_s IS NULL",
                (int(now_s), reason, name),
            )
            return int(self._db.execute("SELECT count(*) FROM certificate WHERE device_id = ?", (name,)).fetchone()[0])

    def revoked(self, *, now_s: float) -> tuple[certificates.Revoked, ...]:
        """What the revocation list holds: revoked certificates that have not ended by themselves."""
        rows = self._db.execute(
            "SELECT serial, revoked_s FROM certificate WHERE revoked_s IS NOT NULL AND not_after_s > ? ORDER BY serial",
            (int(now_s),),
        )
        return tuple(certificates.Revoked(serial=int(serial, 16), at_s=at_s) for serial, at_s in rows)

    def denied(self, *, now_s: float) -> tuple[str, ...]:
        """The names that the broker's ACL must silence: revoked ones whose certificate would still open a session."""
        rows = self._db.execute(
            "SELECT DISTINCT device_id FROM certificate WHERE revoked_s IS NOT NULL AND not_after_s > ?"
            " UNION SELECT device_id FROM box WHERE state IN ('revoked', 'retired') ORDER BY 1",
            (int(now_s),),
        )
        return tuple(name for (name,) in rows)

    def newest_certificate(self, name: str) -> bytes | None:
        """The certificate of a name that was issued last and is not revoked."""
        row = self._db.execute(
            "SELECT pem FROM certificate WHERE device_id = ? AND revoked_s IS NULL ORDER BY issued_s DESC, rowid DESC",
            (name,),
        ).fetchone()
        return row[0].encode() if row else None

    def batch_cas(self, *, now_s: float) -> dict[str, bytes]:
        """The CAs of the batches that may install boxes now, by batch name."""
        rows = self._db.execute("SELECT name, ca FROM batch WHERE revoked_s IS NULL AND not_after_s > ?", (int(now_s),))
        return {name: ca.encode() for name, ca in rows}

    def bench_key(self, name: str, *, now_s: float) -> str | None:
        """The key that signs for the bench of a batch which may install boxes now, base64; None for any other."""
        row = self._db.execute(
            "SELECT key FROM bench JOIN batch ON name = batch WHERE name = ? AND revoked_s IS NULL AND not_after_s > ?",
            (name, int(now_s)),
        ).fetchone()
        return row[0] if row else None

    def end_batch(self, name: str, *, now_s: float) -> bool:
        """Let no box of this batch be installed any more (a lost laptop); whether there is such a batch."""
        with self._transaction():
            found = self._db.execute("UPDATE batch SET revoked_s = ? WHERE name = ?", (int(now_s), name))
            return found.rowcount > 0

    def ended(self, name: str) -> bool:
        """Whether headquarters ended this batch (`end_batch`); one that only ran out is not."""
        row = self._db.execute("SELECT 1 FROM batch WHERE name = ? AND revoked_s IS NOT NULL", (name,)).fetchone()
        return row is not None

    def next_number(self, name: str) -> int:
        """1, 2, 3, ...: never the same twice."""
        with self._transaction():
            self._db.execute("INSERT INTO meta VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1", (name,))
            return int(self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
