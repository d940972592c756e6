"""`make lambda-zip`: the notifiers as a Lambda function, with what they import as this environment has it installed."""

import platform
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
PACKAGES = ("analytics", "consumers", "events", "foundation", "producers")
# What people look at, and no consumer imports.
LEFT_OUT = ("analytics/notebooks", "analytics/questions", "analytics/report", "analytics/showing", "producers/pages")
# Code, the golden bytes that a consumer reads before it starts, and what mails say.
OWN_FILES = ("*.py", "golden/*.json", "mail/templates/*")
DISTRIBUTIONS = (
    "aws-kinesis-agg",
    "boto3",
    "botocore",
    "cffi",
    "cryptography",
    "jinja2",
    "jmespath",
    "localstack-client",
    "markupsafe",
    "msgspec",
    "protobuf",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
)
# botocore describes every service there is, which is nearly all of its size.
SERVICES = ("dynamodb", "kinesis", "s3", "ses", "sns", "sts")
_SERVICE_DATA = ("botocore", "data")
# The earliest time a zip can hold, for every entry: the same files make the same zip.
_MADE_AT = (1980, 1, 1, 0, 0, 0)


def write(target: Path) -> None:
    """Compiled code in it fits the Python version and the platform of this very environment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name, file in sorted({**_installed(), **_own()}.items()):
            entry = zipfile.ZipInfo(name, _MADE_AT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            made.writestr(entry, file.read_bytes())


def _own() -> dict[str, Path]:
    files = (file for package in PACKAGES for kind in OWN_FILES for file in (ROOT / package).rglob(kind))
    named = {file.relative_to(ROOT).as_posix(): file for file in files}
    return {name: file for name, file in named.items() if not name.startswith(tuple(f"{room}/" for room in LEFT_OUT))}


def _installed() -> dict[str, Path]:
    return dict(entry for name in DISTRIBUTIONS for entry in _files(name))


def _files(name: str) -> Iterator[tuple[str, Path]]:
    for file in distribution(name).files or ():
        # What lies beside the packages, as scripts do, is of no use there.
        if ".." not in file.parts and "__pycache__" not in file.parts and not _is_another_service(file):
            yield file.as_posix(), Path(str(file.locate()))


def _is_another_service(file: PurePosixPath) -> bool:
    is_service_data = file.parts[:2] == _SERVICE_DATA and len(file.parts) > 3
    return is_service_data and file.parts[2] not in SERVICES


def main() -> None:
    if sys.platform != "linux":
        raise SystemExit(
            f"error: Lambda runs Linux, and this is {sys.platform}. fix: run it on Linux, or in a container"
        )
    target = Path(sys.argv[1])
    write(target)
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    size = target.stat().st_size / 1e6
    sys.stdout.write(f"{target}: {size:.1f} MB, for the runtime {runtime} on {platform.machine()}\n")


if __name__ == "__main__":
    main()
