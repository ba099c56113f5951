"""A throw-away health authority: root, a health officer and an approver with their mandates, and requests they sign."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.request import APPROVER, HEALTH_OFFICER, Mandate, Request

AUTHORITY = "authority-hcm"
HOUR_S = 3600
DAY_S = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A signing key and the mandate the root gave it."""

    key: Ed25519PrivateKey
    mandate: bytes


class Office:
    """Everything an authority needs to ask; its mandates are valid for a year around `now_s`."""

    def __init__(self, now_s: float, authority: str = AUTHORITY) -> None:
        self.now_s = int(now_s)
        self.authority = authority
        self.root = Ed25519PrivateKey.generate()
        self.officer = self.person(HEALTH_OFFICER, "BS. Nguyễn Thị An")
        self.approver = self.person(APPROVER, "Trần Văn Bình")

    def person(
        self,
        role: str,
        name: str,
        *,
        key: Ed25519PrivateKey | None = None,
        root: Ed25519PrivateKey | None = None,
        authority: str = "",
        until_s: int | None = None,
    ) -> Person:
        """Somebody with a mandate."""
        key = key or Ed25519PrivateKey.generate()
        mandate = Mandate(
            authority=authority or self.authority,
            role=role,
            name=name,
            key=key.public_key().public_bytes_raw(),
            not_before_s=self.now_s - 180 * DAY_S,
            not_after_s=until_s or self.now_s + 180 * DAY_S,
        )
        return Person(key=key, mandate=requests.sign_mandate(mandate, [root or self.root]))

    @property
    def root_pem(self) -> bytes:
        """What is pinned on a box."""
        return self.root.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def request(self, *devices: str, **changes: Any) -> Request:
        """A request for the last three hours but one, valid for a week."""
        values: dict[str, Any] = {
            "case": "HCM-2026-0417",
            "legal_basis": "Luật 114/2025/QH15",
            "authority": self.authority,
            "devices": devices,
            "from_s": self.now_s - 3 * HOUR_S,
            "to_s": self.now_s - HOUR_S,
            "purpose": "Truy vết người tiếp xúc",
            "not_before_s": self.now_s - 600,
            "expires_s": self.now_s + 7 * DAY_S,
            "nonce": secrets.token_bytes(16),
        }
        return Request(**{**values, **changes})

    def signed(self, request: Request, *people: Person) -> bytes:
        """The document, signed by these people; by default officer and approver."""
        document = requests.draft(request)
        for person in people or (self.officer, self.approver):
            document = requests.approve(document, person.key, person.mandate)
        return document
