"""A second reader of the sealed log, written from docs/log-format.md alone; it imports nothing of edge_scanner.

HPKE, HKDF, the tree and the JSON envelope are done by hand here; only the primitives (ML-KEM, X25519, Ed25519, the two
AEADs) come from `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 2.3)."""
    block, out = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def number(data: bytes, offset: int, width: int) -> int:
    """A big-endian unsigned field."""
    return int.from_bytes(data[offset : offset + width], "big")


def hpke_open(sealed: bytes, private: bytes, info: bytes) -> bytes:
    """Wrap suite 1: HPKE base mode over X-Wing, RFC 9180 5.1 and 7.2, draft-connolly-cfrg-xwing-kem."""
    suite = b"HPKE" + (0x647A).to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")

    def extract(salt: bytes, label: bytes, material: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")

    mlkem_ct, x25519_ct, ciphertext = sealed[:1088], sealed[1088:1120], sealed[1120:]
    curve = X25519PrivateKey.from_private_bytes(private[64:])
    mlkem_secret = MLKEM768PrivateKey.from_seed_bytes(private[:64]).decapsulate(mlkem_ct)
    x25519_secret = curve.exchange(X25519PublicKey.from_public_bytes(x25519_ct))
    label = bytes.fromhex("5c2e2f2f5e5c")
    public = curve.public_key().public_bytes_raw()
    shared = hashlib.sha3_256(mlkem_secret + x25519_secret + x25519_ct + public + label).digest()
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")

    def derive(label: bytes, length: int) -> bytes:
        return expand(secret, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context, length)

    return ChaCha20Poly1305(derive(b"key", 32)).decrypt(derive(b"base_nonce", 12), ciphertext, b"")


def strong(key: bytes) -> Ed25519PublicKey:
    """An Ed25519 public key that is no point of small order, in its one spelling: times 8 it is not the identity."""
    prime = 2**255 - 19
    d = -121665 * pow(121666, -1, prime) % prime
    y = int.from_bytes(key, "little") % 2**255
    assert y < prime
    square = (y * y - 1) * pow(d * y * y + 1, -1, prime) % prime
    x = pow(square, (prime + 3) // 8, prime)
    if x * x % prime != square:
        x = x * pow(2, (prime - 1) // 4, prime) % prime
    for _ in range(3):
        # RFC 8032 5.1.4, the same point twice.
        k = d * x * x * y * y % prime
        x, y = 2 * x * y * pow(1 + k, -1, prime) % prime, (y * y + x * x) * pow(1 - k, -1, prime) % prime
    assert (x, y) != (0, 1)
    return Ed25519PublicKey.from_public_bytes(key)


def read_boot(record: bytes, identity: bytes) -> dict[str, Any]:
    """A boot record, its signature checked."""
    assert record[:5] == b"ESB1\x01"
    assert record[5] == 1
    assert len(record) == 185
    key = strong(identity)
    strong(record[49:81])
    key.verify(record[121:], b"edge-scanner boot record v1\0" + record[:121])
    return {
        "device": record[6:16].decode(),
        "number": number(record, 16, 8),
        "boot_id": record[24:32].hex(),
        "utc": number(record, 32, 8),
        "monotonic": number(record, 40, 8),
        "quality": record[48],
        "key": record[49:81].hex(),
        "tree_size": number(record, 81, 8),
        "tree_root": record[89:121].hex(),
    }


def shares_of(header: bytes) -> list[dict[str, Any]]:
    """The share entries, in order, after the rules of their places."""
    parts, shares, position = header[141], [], 143
    for _ in range(header[142]):
        length = number(header, position + 11, 2)
        shares.append(
            {
                "part": header[position],
                "index": header[position + 1],
                "suite": header[position + 2],
                "key_id": header[position + 3 : position + 11],
                "sealed": header[position + 13 : position + 13 + length],
                "place": header[position : position + 11],
            }
        )
        assert length == {1: 1168, 2: 1713}[header[position + 2]]
        position += 13 + length
    assert position == len(header) - 32 * parts - 64
    assert parts >= 2
    assert len(shares) <= 32
    expected_part, expected_index = 0, 0
    for share in shares:
        if share["part"] == expected_part + 1 and expected_index:
            expected_part, expected_index = expected_part + 1, 0
        assert (share["part"], share["index"]) == (expected_part, expected_index)
        expected_index += 1
    assert expected_part == parts - 1
    assert expected_index
    for holder in {share["key_id"] for share in shares}:
        assert {share["part"] for share in shares if share["key_id"] == holder} != set(range(parts))
    return shares


def read_header(header: bytes, boot_key: bytes) -> dict[str, Any]:
    """A segment header, its signature checked, with its share entries."""
    assert header[:5] == b"ESL2\x02"
    assert header[5] in (1, 2)
    assert number(header, 8, 2) == len(header)
    assert (header[6], header[7], header[65], number(header, 66, 2)) == (1, 1, 60, 4016)
    assert re.fullmatch(rb"[0-9A-HJKMNP-TV-Z]{10}", header[10:20])
    assert header[64] in (0, 1, 2)
    assert header[68] in (0, 1)
    key = Ed25519PublicKey.from_public_bytes(boot_key)
    key.verify(header[-64:], b"edge-scanner segment header v2\0" + header[:-64])
    return {
        "cipher": header[5],
        "device": header[10:20].decode(),
        "boot_number": number(header, 20, 8),
        "boot_id": header[28:36].hex(),
        "seq": number(header, 36, 8),
        "hour": number(header, 44, 4),
        "utc": number(header, 48, 8),
        "monotonic": number(header, 56, 8),
        "quality": header[64],
        "unclean": header[68],
        "previous_leaf": header[69:101].hex(),
        "recipients": header[101:133].hex(),
        "recipients_version": number(header, 133, 8),
        "shares": shares_of(header),
    }


def open_seeds(header: bytes, privates: dict[bytes, bytes]) -> dict[int, bytes]:
    """The seed of each part that these private keys (by key id) open, checked against its commitment."""
    seeds = {}
    signed_part = header[: -32 * header[141] - 64]
    for share in shares_of(header):
        if share["key_id"] in privates:
            assert share["suite"] == 1
            info = b"edge-scanner share v2\0" + sha256(header[:143]) + share["place"]
            seed = hpke_open(share["sealed"], privates[share["key_id"]], info)
            place = bytes([share["part"]])
            committed = header[len(signed_part) + 32 * share["part"] :][:32]
            assert committed == expand(seed, b"edge-scanner commitment v2\0" + place + sha256(signed_part))
            seeds[share["part"]] = seed
    return seeds


def part_keys(header: bytes, part: int, seed: bytes) -> dict[int | None, bytes]:
    """What one part gives: its key of every minute, 0 to 59, and under None its key of the events."""
    place = bytes([part]) + sha256(header)
    chain = expand(seed, b"edge-scanner chain v2\0" + place)
    keys: dict[int | None, bytes] = {None: expand(seed, b"edge-scanner events v2\0" + place)}
    for minute in range(60):
        keys[minute] = expand(chain, b"minute" + bytes([minute]))
        chain = expand(chain, b"next" + bytes([minute]))
    return keys


def combine(header: bytes, seeds: dict[int, bytes]) -> dict[int | None, bytes]:
    """The key of every minute and, under None, of the events, from the seeds of all parts."""
    assert set(seeds) == set(range(header[141]))
    whole: dict[int | None, bytes] = dict.fromkeys([None, *range(60)], bytes(32))
    for part, seed in seeds.items():
        for place, key in part_keys(header, part, seed).items():
            whole[place] = bytes(a ^ b for a, b in zip(whole[place], key, strict=True))
    return whole


def frame_key(key: bytes, n: int) -> bytes:
    """The key of frame n, from that of its minute or of the events."""
    return expand(key, b"frame" + n.to_bytes(4, "big"))


def open_frame(header: bytes, key: bytes, n: int, ciphertext: bytes) -> bytes | None:
    """Frame n's plaintext under the key of a minute or of the events; None when it is another's."""
    made = frame_key(key, n)
    cipher = ChaCha20Poly1305(made) if header[5] == 1 else AESGCM(made)
    try:
        return cipher.decrypt(n.to_bytes(12, "big"), ciphertext, sha256(header) + n.to_bytes(4, "big"))
    except InvalidTag:
        return None


def open_frames(header: bytes, keys: dict[int | None, bytes], ciphertexts: list[bytes]) -> list[dict[str, Any]]:
    """The content of every frame that these keys open; a frame's minute is found by trying."""
    contents = []
    for n, ciphertext in enumerate(ciphertexts):
        for minute, key in keys.items():
            plain = open_frame(header, key, n, ciphertext)
            if plain is not None:
                content = read_plaintext(plain, number(header, 44, 4))
                assert ("minute" in content) == (minute is not None)
                assert minute is None or content["minute"] // 60 % 60 == minute
                contents.append(content)
                break
    return contents


def read_plaintext(plain: bytes, hour: int) -> dict[str, Any]:
    """One frame's content."""
    assert len(plain) == 4016
    assert not any(plain[:26])
    plain = plain[26:]
    stamp = number(plain, 6, 6)
    if plain[0] == 1:
        assert not any(plain[1:6] + plain[25:])
        return {
            "end": plain[12],
            "frames": number(plain, 13, 4),
            "utc": number(plain, 17, 8),
            "monotonic": stamp,
        }
    if plain[0] == 2:
        assert not any(plain[1:6] + plain[30:])
        return {
            "before": plain[12],
            "after": plain[13],
            "expected": number(plain, 14, 8),
            "utc": number(plain, 22, 8),
            "monotonic": stamp,
        }
    assert plain[0] == 0
    records = []
    for start in range(12, 12 + 26 * plain[3], 26):
        record = plain[start : start + 26]
        mean, peak = (value - 256 if value > 127 else value for value in record[22:24])
        records.append([record[0], record[1:21].hex(), record[21], mean, peak, record[24], record[25]])
    assert not any(plain[12 + 26 * plain[3] :])
    return {
        "minute": hour * 3600 + 60 * plain[1],
        "listened": plain[2],
        "dropped": number(plain, 4, 2),
        "monotonic": stamp,
        "records": records,
    }


def links(header: bytes, ciphertexts: list[bytes]) -> list[bytes]:
    """Each link from the first on, one more than frames."""
    chain = [sha256(header)]
    for n, ciphertext in enumerate(ciphertexts):
        chain.append(sha256(b"\x02" + chain[-1] + n.to_bytes(4, "big") + ciphertext))
    return chain


def leaf(header: bytes, ciphertexts: list[bytes], *, unclean: bool) -> bytes:
    """A finished segment's leaf."""
    place = header[36:44] + bytes([unclean]) + len(ciphertexts).to_bytes(4, "big")
    return sha256(b"\0" + place + sha256(header) + links(header, ciphertexts)[-1])


def root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 2.1.1 over leaf hashes, by its definition."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return sha256(b"\x01" + root(leaves[:middle]) + root(leaves[middle:]))


def read_checkpoint(note: bytes, boot_key: bytes) -> tuple[str, int, bytes]:
    """Device, size and root of a checkpoint, its signature checked."""
    text, lines = note.decode().split("\n\n")
    origin, size, head = text.split("\n")
    [line] = [line for line in lines.splitlines() if line.startswith(f"\u2014 {origin}/")]
    _, name, blob = line.split(" ")
    raw = base64.b64decode(blob)
    assert raw[:4] == sha256(name.encode() + b"\n\x01" + boot_key)[:4]
    Ed25519PublicKey.from_public_bytes(boot_key).verify(raw[4:], text.encode() + b"\n")
    return origin.removeprefix("edge-scanner/"), int(size), base64.b64decode(head)


def read_document(document: bytes, label: bytes, key: bytes) -> dict[str, Any]:
    """The body of a signed document, one Ed25519 signature checked."""
    envelope = json.loads(document)
    assert json.dumps(envelope, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == document
    body = json.dumps(envelope["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    [value] = [s["value"] for s in envelope["signatures"] if s["key"] == sha256(key).hex()[:16]]
    Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(value), label + b"\0" + body)
    result: dict[str, Any] = envelope["body"]
    return result


def read_recipients(document: bytes, roots: list[bytes]) -> dict[str, Any]:
    """A recipient set that the authority, the first of `roots`, and every custodian signed, after all its rules."""
    for root in roots:
        body = read_document(document, b"edge-scanner recipient set v2", root)
    assert body["format"] == "edge-scanner/recipients/2"
    assert len(roots) >= 2
    names = [sha256(root).hex()[:16] for root in roots]
    assert [party["root"] for party in body["parties"]] == [names[0], *sorted(names[1:])]
    roles = {one["role"] for one in body["recipients"]}
    assert sorted(role for party in body["parties"] for role in party["roles"]) == sorted(roles)
    owners = {(one["public_key"], one["role"]) for one in body["recipients"]}
    assert len(owners) == len({key for key, _ in owners})
    assert all(len(party["roles"]) == 1 for party in body["parties"])
    assert all(part and set(part) <= roles for part in body["parts"])
    for party in body["parties"]:
        assert any(not set(party["roles"]) & set(part) for part in body["parts"])
    return body


def read_bundle(manifest: bytes, body: bytes, identity: bytes, privates: dict[bytes, bytes]) -> dict[int, Any]:
    """Everything in a bundle, checked and opened: segment number -> frame contents."""
    claim = read_document(manifest, b"edge-scanner bundle v1", identity)
    assert sha256(body).hex() == claim["body"]["sha256"]
    assert [sha256(body[i : i + 49152]).hex() for i in range(0, len(body), 49152)] == claim["body"]["chunks"]
    keys: dict[str, bytes] = {}
    rows: list[tuple[bytes, list[bytes]]] = []
    position = 0
    while position < len(body):
        kind, length = body[position : position + 1], number(body, position + 1, 4)
        data = body[position + 5 : position + 5 + length]
        position += 5 + length
        if kind == b"B":
            boot = read_boot(data, identity)
            keys[boot["boot_id"]] = bytes.fromhex(boot["key"])
        elif kind == b"H":
            rows.append((data, []))
        else:
            assert kind == b"F"
            assert number(data, 0, 4) == len(rows[-1][1])
            rows[-1][1].append(data[4:])
    known = dict(enumerate(claim["tree"]["leaves"], claim["tree"]["first"]))
    opened = {}
    for (header, ciphertexts), (seq, frames) in zip(rows, claim["segments"], strict=True):
        fields = read_header(header, keys[header[28:36].hex()])
        assert (fields["seq"], len(ciphertexts)) == (seq, frames)
        if seq in known:
            assert known[seq] in {leaf(header, ciphertexts, unclean=u).hex() for u in (False, True)}
        opened[seq] = open_frames(header, combine(header, open_seeds(header, privates)), ciphertexts)
        assert len(opened[seq]) == len(ciphertexts)
    return opened
