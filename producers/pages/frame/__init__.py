"""What every page has: its looks, sign-in and sessions, the guards of reads and writes, and how it is served."""

from producers.pages.frame.admission import seen_by, written_by
from producers.pages.frame.entrance import Form
from producers.pages.frame.mounting import frame, page_routes
from producers.pages.frame.rendering import Pages
from producers.pages.frame.sign_in import LINK_LASTS, PAGES, SESSION_LASTS, SignInKey, link_url

__all__ = [
    "LINK_LASTS",
    "PAGES",
    "SESSION_LASTS",
    "Form",
    "Pages",
    "SignInKey",
    "frame",
    "link_url",
    "page_routes",
    "seen_by",
    "written_by",
]
