"""The orders API over HTTP.

`app` and `serving` are imported by their own names, since they load a web framework and a server."""
