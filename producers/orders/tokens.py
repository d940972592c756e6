"""Bearer tokens of the orders API: who is asking, in which role, until when; signed with HMAC-SHA256."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from events import Identifier, Timestamp

MIN_KEY_BYTES = 32

Role = Literal["customer", "restaurant", "operator"]


class TokenError(Exception):
    """A token that opens nothing. Messages never say what a right one would have been."""


class MalformedToken(TokenError):
    """No token of ours: it does not read as one."""


class WrongSignature(TokenError):
    """Signed with another key, or changed after signing."""


class ExpiredToken(TokenError):
    """Signed by us, and over."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking: `subject` is the customer_id of a customer and the restaurant_id of a restaurant."""

    subject: Identifier
    role: Role


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and until when that may be: what lasts longer ends then."""

    principal: Principal
    until: Timestamp


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    subject: Identifier
    role: Role
    expires_at: Timestamp


_claims = msgspec.json.Decoder(_Claims)


@dataclass(frozen=True)
class TokenKey:
    """The secret that signs and verifies tokens; at least 32 bytes."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_KEY_BYTES:
            raise ValueError(
                f"a token key has at least {MIN_KEY_BYTES} bytes, this one has {len(self.secret)}. "
                "fix: make one with `openssl rand -hex 32`"
            )

    def derived(self, purpose: str) -> "TokenKey":
        """The key of another kind of token: what it signs, no other takes."""
        # guarantee: what is signed for one purpose is good for no other
        return TokenKey(hmac.new(self.secret, purpose.encode(), hashlib.sha256).digest())

    def sign(self, subject: str, role: Role, expires_at: datetime) -> str:
        """A token for the Authorization header, good before `expires_at`."""
        claims = _base64url(msgspec.json.encode(_Claims(subject=subject, role=role, expires_at=expires_at)))
        return f"{claims}.{self._signature(claims)}"

    def verify(self, token: str, now: datetime) -> Admission:
        """Whom the token stands for, and until when; any other token is a `TokenError`."""
        claims, dot, signature = token.partition(".")
        if not (claims and dot and signature):
            raise MalformedToken("not a token of this API")
        # guarantee: a token's signature is checked
        if not hmac.compare_digest(signature.encode(), self._signature(claims).encode()):
            raise WrongSignature("the token was not signed by this API")
        try:
            read = _claims.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise MalformedToken("the token's claims do not read as claims") from error
        if now >= read.expires_at:
            raise ExpiredToken("the token has expired")
        return Admission(principal=Principal(subject=read.subject, role=read.role), until=read.expires_at)

    def _signature(self, claims: str) -> str:
        return _base64url(hmac.new(self.secret, claims.encode(), hashlib.sha256).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
