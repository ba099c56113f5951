"""Headquarters' keys in a token (PKCS #11) instead of files: made there, used there, never read out.

`fleet new --pkcs11-module FILE --pkcs11-token LABEL` puts the issuing CA's and the signer's key into the token; its PIN
is what other fleets' passphrase is. The keys stand in for cryptography's own, so that whoever signs with them need not
know. Standards: PKCS #11 2.40 (ECDSA over a digest), 3.0 (EdDSA). Tried with SoftHSM 2.6.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from edge_scanner.core import public_keys
from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ISSUING, SIGNER = "edge-scanner issuing CA", "edge-scanner signer"
"""The keys' labels in the token."""
_EDWARDS = b"\x13\x0cedwards25519"
"""The curve's name as EC_PARAMS has it (PrintableString)."""
_POINT = 65
_RAW = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Where the keys are: the maker's PKCS #11 library, and the token's label."""

    module: Path
    label: str

    def make(self, pin: str) -> tuple[TokenP256, TokenEd25519]:
        """Make both keys in the token; raises RefusedError where there are some already, or for a wrong PIN."""
        session = self._open(pin, writable=True)
        pkcs11 = _library()
        for label in (ISSUING, SIGNER):
            if list(session.get_objects({pkcs11.Attribute.LABEL: label})):
                raise RefusedError("the token holds a fleet already", code="exists", where=self.label)
        kinds = pkcs11.KeyType
        curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
        for kind, parameters, label, mechanism in (
            (kinds.EC, curve, ISSUING, pkcs11.Mechanism.EC_KEY_PAIR_GEN),
            (kinds.EC_EDWARDS, _EDWARDS, SIGNER, pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
        ):
            domain = session.create_domain_parameters(kind, {pkcs11.Attribute.EC_PARAMS: parameters}, local=True)
            closed = {pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True}
            domain.generate_keypair(mechanism=mechanism, store=True, label=label, private_template=closed)
        return self._keys(session)

    def open(self, pin: str) -> tuple[TokenP256, TokenEd25519]:
        """The issuing CA's and the signer's key; raises RefusedError for a wrong PIN, UnavailableError."""
        return self._keys(self._open(pin, writable=False))

    def _open(self, pin: str, *, writable: bool) -> Any:
        pkcs11 = _library()
        try:
            token = pkcs11.lib(str(self.module)).get_token(token_label=self.label)
            return token.open(rw=writable, user_pin=pin)
        except pkcs11.exceptions.UserAlreadyLoggedIn:  # by this process: the login is the library's
            return token.open(rw=writable)
        except (pkcs11.exceptions.PinIncorrect, pkcs11.exceptions.PinLenRange, pkcs11.exceptions.PinLocked) as error:
            raise RefusedError(
                "the token refuses the PIN", code="passphrase", where=self.label, hint="too many attempts lock it"
            ) from error
        except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
            raise UnavailableError(
                "the token cannot be opened", where=f"{self.module}, {self.label}", hint="is it plugged in?"
            ) from error

    def _keys(self, session: Any) -> tuple[TokenP256, TokenEd25519]:
        pkcs11 = _library()

        def pair(label: str) -> tuple[Any, bytes]:
            private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
            public = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=label)
            return private, bytes(public[pkcs11.Attribute.EC_POINT])

        try:
            issuing, signer = pair(ISSUING), pair(SIGNER)
        except pkcs11.PKCS11Error as error:
            raise BadDataError("the token holds no fleet", where=self.label, hint="is it the right token?") from error
        return TokenP256(*issuing), TokenEd25519(*signer)


def _library() -> Any:
    try:
        import pkcs11  # noqa: PLC0415 (an option that few need)
        import pkcs11.util.ec  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError("python-pkcs11 is not installed", hint="install the laptop's lock again") from error
    return pkcs11


def _inside(*_: object) -> NoReturn:
    raise RefusedError("a key in a token does not leave it", code="token")


_refuse: Any = _inside


class TokenP256(ec.EllipticCurvePrivateKey):
    """A P-256 key in a token, for signing certificates and revocation lists."""

    def __init__(self, key: Any, point: bytes) -> None:
        self._key = key
        self._public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[-_POINT:])

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """256."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA over SHA-256, in DER; the token sees the digest alone."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed) or not isinstance(algorithm, hashes.SHA256):
            raise RefusedError("the token's key signs with SHA-256 alone", code="token")
        digest = hashes.Hash(hashes.SHA256())
        digest.update(data)
        raw = self._key.sign(digest.finalize(), mechanism=_library().Mechanism.ECDSA)
        return encode_dss_signature(int.from_bytes(raw[:_RAW]), int.from_bytes(raw[_RAW:]))

    exchange = private_numbers = private_bytes = _refuse
    __copy__ = __deepcopy__ = _refuse


class TokenEd25519(Ed25519PrivateKey):
    """An Ed25519 key in a token, for signing batches and lists."""

    def __init__(self, key: Any, point: bytes) -> None:
        self._key = key
        self._public = public_keys.ed25519(point[-_RAW:], "token")

    def public_key(self) -> Ed25519PublicKey:
        """The public half."""
        return self._public

    def sign(self, data: Any) -> bytes:
        """64 bytes (RFC 8032)."""
        return bytes(self._key.sign(bytes(data), mechanism=_library().Mechanism.EDDSA))

    private_bytes = private_bytes_raw = _refuse
    __copy__ = __deepcopy__ = _refuse
