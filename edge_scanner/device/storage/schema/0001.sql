-- The first schema. Every table's rows are ciphertext, hashes, signed statements or messages made to be published.
-- One file per version; the number of the last one applied is PRAGMA user_version (docs/storage.md).
PRAGMA application_id = 0x45444753; -- "EDGS": tells our file from anybody else's database

-- The sealed log. A frame's id is packed, seq << 20 | number, so that it needs no second index and
-- "forget the segments before X" is one range delete.
CREATE TABLE boot(number INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE segment(seq INTEGER PRIMARY KEY, opened_s REAL NOT NULL, header BLOB NOT NULL) STRICT;
CREATE TABLE frame(id INTEGER PRIMARY KEY, ciphertext BLOB NOT NULL) STRICT;
CREATE TABLE leaf(seq INTEGER PRIMARY KEY, digest BLOB NOT NULL) STRICT;

-- What left, or will leave, the box. A release's rowid is its age: the oldest go by number, not by a clock.
CREATE TABLE release(
  id INTEGER PRIMARY KEY,
  ledger TEXT NOT NULL, bin_start_s INTEGER NOT NULL, body BLOB NOT NULL,
  UNIQUE(ledger, bin_start_s)
) STRICT;
CREATE TABLE outbox(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- AUTOINCREMENT: a delivered row's id is never given again
  kind TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, key TEXT NOT NULL UNIQUE,
  qos INTEGER NOT NULL, retain INTEGER NOT NULL, created_s REAL NOT NULL, expires_s REAL
) STRICT;

-- Who asked for what. `digest` chains the entries: SHA-256(0x02 | previous digest | entry), first previous = 32 zeros.
CREATE TABLE audit(number INTEGER PRIMARY KEY, entry BLOB NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE TABLE nonce(nonce BLOB PRIMARY KEY, expires_s REAL NOT NULL) STRICT, WITHOUT ROWID;

-- Small facts that must survive a restart: counters (`outbox_dropped`), the clock's watermark, calibration.
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('outbox_dropped', 0);

-- A repeated row is ignored (INSERT OR IGNORE); another value under a known key is refused here, by the file itself.
CREATE TRIGGER boot_once BEFORE INSERT ON boot
  WHEN EXISTS (SELECT 1 FROM boot WHERE number = NEW.number AND record IS NOT NEW.record)
  BEGIN SELECT RAISE(ABORT, 'boot: another value under a known key'); END;
CREATE TRIGGER segment_once BEFORE INSERT ON segment
  WHEN EXISTS (SELECT 1 FROM segment WHERE seq = NEW.seq AND header IS NOT NEW.header)
  BEGIN SELECT RAISE(ABORT, 'segment: another value under a known key'); END;
CREATE TRIGGER frame_once BEFORE INSERT ON frame
  WHEN EXISTS (SELECT 1 FROM frame WHERE id = NEW.id AND ciphertext IS NOT NEW.ciphertext)
  BEGIN SELECT RAISE(ABORT, 'frame: another value under a known key'); END;
CREATE TRIGGER leaf_once BEFORE INSERT ON leaf
  WHEN EXISTS (SELECT 1 FROM leaf WHERE seq = NEW.seq AND digest IS NOT NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'leaf: another value under a known key'); END;
CREATE TRIGGER release_once BEFORE INSERT ON release
  WHEN EXISTS (SELECT 1 FROM release
               WHERE ledger = NEW.ledger AND bin_start_s = NEW.bin_start_s AND body IS NOT NEW.body)
  BEGIN SELECT RAISE(ABORT, 'release: another value under a known key'); END;
CREATE TRIGGER outbox_once BEFORE INSERT ON outbox
  WHEN EXISTS (SELECT 1 FROM outbox
               WHERE key = NEW.key AND (topic IS NOT NEW.topic OR payload IS NOT NEW.payload))
  BEGIN SELECT RAISE(ABORT, 'outbox: another value under a known key'); END;

-- Append-only: what was vouched for, hashed or audited is never rewritten or taken out.
CREATE TRIGGER leaf_kept BEFORE DELETE ON leaf BEGIN SELECT RAISE(ABORT, 'leaf: kept for ever'); END;
CREATE TRIGGER leaf_fixed BEFORE UPDATE ON leaf BEGIN SELECT RAISE(ABORT, 'leaf: kept for ever'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit: kept for ever'); END;
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit: kept for ever'); END;
