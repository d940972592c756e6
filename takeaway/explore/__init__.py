"""The lake by sight: a marimo app, served to one browser on this machine, from which no request leaves it."""

from takeaway.explore.serving import local_only, require_installed, serve

__all__ = ["local_only", "require_installed", "serve"]
