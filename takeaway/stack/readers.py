"""What other readers of the lake need: deltalake and polars their variables, DuckDB a secret of its own."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from foundation import aws
from foundation.settings import variable

# No settings: nothing of ours reads what begins so.
LAKE_URI, DUCKDB_SECRET = "TAKEAWAY_READERS_LAKE", "TAKEAWAY_READERS_DUCKDB"


def reader_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """By name: the lake's address, and toward an endpoint of its own what deltalake, polars and DuckDB lack for it.

    Nothing where the stack has no lake.
    """
    from analytics.table import table_uri

    bucket = environ.get(variable("lake_bucket"))
    if not bucket:
        return {}
    found = {LAKE_URI: table_uri(bucket)}
    url = urlsplit(aws.endpoint("s3", environ) or "")
    if url.scheme == "http":
        # Else both refuse what is not https.
        found["AWS_ALLOW_HTTP"] = "true"
    if url.netloc:
        found[DUCKDB_SECRET] = _secret(environ, url.netloc, encrypted=url.scheme == "https")
    return found


def reader_notes() -> list[str]:
    """How to use them, for a person."""
    return [
        f"deltalake, in Python:   DeltaTable(os.environ[{LAKE_URI!r}])",
        f"polars:                 polars.scan_delta(os.environ[{LAKE_URI!r}])",
        "DuckDB, by deltalake:   rows = DeltaTable(...).to_pyarrow_dataset(); duckdb.sql('select count(*) from rows')",
        f"DuckDB, by itself:      duckdb.sql(os.environ[{DUCKDB_SECRET!r}]), then delta_scan('s3://...'); it fetches",
        "                        its extensions httpfs and delta from the internet, once",
        "All three have the table `records`: an event that was published twice is there twice until it is compacted.",
    ]


def _secret(environ: Mapping[str, str], host: str, *, encrypted: bool) -> str:
    keys = {"KEY_ID": environ.get("AWS_ACCESS_KEY_ID"), "SECRET": environ.get("AWS_SECRET_ACCESS_KEY")}
    told = {**keys, "SESSION_TOKEN": environ.get("AWS_SESSION_TOKEN"), "REGION": aws.region(environ), "ENDPOINT": host}
    named = ", ".join(f"{name} {_quoted(value)}" for name, value in told.items() if value)
    return f"CREATE OR REPLACE SECRET takeaway (TYPE s3, {named}, URL_STYLE 'path', USE_SSL {str(encrypted).lower()})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
