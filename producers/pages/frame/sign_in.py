"""Sign-in links, sessions and CSRF tokens: values that are signed, each kind with a key of its own. Pure."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from producers.orders import Admission, Principal, Role, TokenKey

# A link is for the person who has just asked for it.
LINK_LASTS = timedelta(minutes=15)
SESSION_LASTS = timedelta(hours=12)
# Where each role's page is. One browser can be signed in as all of them at once, each with a cookie of its own.
PAGES: dict[Role, str] = {"customer": "/customer", "restaurant": "/restaurant", "operator": "/operations"}


def cookie_of(role: Role) -> str:
    """The name of the cookie that holds a session of this role."""
    return f"takeaway_{role}"


@dataclass(frozen=True)
class SignInKey:
    """Makes and reads them. All three keys follow from that of the API's tokens, and none takes what another signed."""

    token_key: TokenKey

    def link(self, subject: str, role: Role, now: datetime) -> str:
        """The value of a sign-in link, good once and for `LINK_LASTS`."""
        return self._links.sign(subject, role, now + LINK_LASTS)

    def of_link(self, value: str, now: datetime) -> Admission:
        """Whom the link signs in, and until when it is good. Raises `TokenError`."""
        return self._links.verify(value, now)

    def session(self, principal: Principal, until: datetime) -> str:
        """What a session's cookie holds."""
        return self._sessions.sign(principal.subject, principal.role, until)

    def of_session(self, cookie: str, now: datetime) -> Admission:
        """Whose session it is, and until when. Raises `TokenError`."""
        return self._sessions.verify(cookie, now)

    def csrf_token(self, session: str) -> str:
        """What a page of this session sends with every write: a page of another site cannot know it."""
        secret = self.token_key.derived("pages: CSRF tokens").secret
        return hmac.new(secret, session.encode(), hashlib.sha256).hexdigest()

    @property
    def _links(self) -> TokenKey:
        return self.token_key.derived("pages: sign-in links")

    @property
    def _sessions(self) -> TokenKey:
        return self.token_key.derived("pages: sessions")


def link_url(origin: str, value: str) -> str:
    """The value stands behind the #: browsers send it to no server, in no request and in no Referer."""
    return f"{origin}/sign-in#{value}"
