"""The KCL's MultiLangDaemon: what it is told, and how it is started. It reads, holds leases, and starts our children.

https://github.com/awslabs/amazon-kinesis-client/blob/master/docs/multilang/configuring-credential-providers.md
"""

import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from foundation import aws
from foundation.kinesis import MAX_READ_RECORDS, Sentinel

# https://github.com/awslabs/amazon-kinesis-client-python/blob/master/README.md
OLDEST_JAVA = 8

# How long the daemon waits at SIGTERM for its children to flush and checkpoint.
DAEMON_GRACE_SECONDS = 60.0

Retrieval = Literal["polling", "fan_out"]
_RETRIEVAL_MODES: dict[Retrieval, str] = {"polling": "POLLING", "fan_out": "FANOUT"}

_MAIN = "software.amazon.kinesis.multilang.MultiLangDaemon"

# Warnings to standard error, where the daemon copies what its children write there; it need not log that as well.
DAEMON_LOGGING = """\
<configuration>
  <appender name="STDERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <logger name="software.amazon.kinesis.multilang.DrainChildSTDERRTask" level="OFF"/>
  <logger name="software.amazon.kinesis.metrics" level="ERROR"/>
  <root level="WARN"><appender-ref ref="STDERR"/></root>
</configuration>
"""


@dataclass(frozen=True)
class DaemonSettings:
    """`application` names the lease table: it is our own worker's, so that either goes on where the other stopped.

    It begins at `start` on its first day; AT_TIMESTAMP begins at `start_at`. `child` is a Python module and its
    arguments. `endpoints` has "kinesis" and "dynamodb" where they are not AWS' own.
    """

    application: str
    stream: str
    child: Sequence[str]
    region: str
    endpoints: Mapping[str, str]
    failover_seconds: float
    reads_per_second: float
    start: Sentinel = Sentinel.TRIM_HORIZON
    start_at: datetime | None = None
    retrieval: Retrieval = "polling"

    def properties(self) -> dict[str, str]:
        """By the KCL's own names. `timeoutInSeconds` stays unset: a child may wait for as long as the world is broken.

        Without `shutdownGraceMillis` a SIGTERM lets no child flush or checkpoint; without
        `callProcessRecordsEvenForEmptyRecordList` no time passes for one whose rows wait for a file.
        """
        told = {
            "applicationName": self.application,
            "streamName": self.stream,
            "executableName": " ".join([Path(sys.executable).name, "-m", *self.child]),
            "processingLanguage": "python/3",
            "regionName": self.region,
            "kinesisEndpoint": self.endpoints.get("kinesis"),
            "dynamoDBEndpoint": self.endpoints.get("dynamodb"),
            "AwsCredentialsProvider": "DefaultCredentialsProvider",
            **self._first_position,
            "retrievalMode": _RETRIEVAL_MODES[self.retrieval],
            "callProcessRecordsEvenForEmptyRecordList": "true",
            "failoverTimeMillis": _millis(self.failover_seconds),
            "idleTimeBetweenReadsInMillis": _millis(1 / self.reads_per_second),
            "maxRecords": str(MAX_READ_RECORDS),
            "shutdownGraceMillis": _millis(DAEMON_GRACE_SECONDS),
            "metricsLevel": "NONE",
        }
        return {name: value for name, value in told.items() if value is not None}

    @property
    def _first_position(self) -> dict[str, str]:
        """The KCL knows moments by the second: the one before, so that nothing is left out."""
        if self.start_at is None:
            return {"initialPositionInStream": self.start.value}
        return {"initialPositionInStreamExtended": str(math.floor(self.start_at.timestamp()))}


def properties_text(properties: Mapping[str, str]) -> str:
    """A .properties file: https://docs.oracle.com/javase/8/docs/api/java/util/Properties.html#load-java.io.Reader-"""
    return "".join(f"{name} = {_escaped(value)}\n" for name, value in properties.items())


def daemon_command(java: str, properties: Path, logging: Path) -> list[str]:
    """Raises `LookupError` where the KCL is not installed."""
    return [
        java,
        "-cp",
        str(_jars() / "*"),
        _MAIN,
        "--properties-file",
        str(properties.resolve()),
        "--log-configuration",
        str(logging.resolve()),
    ]


def with_this_python(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a daemon: it finds this Python by its name, since it splits a command at every space."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    return {**environ, "PATH": path}


def java_version(told: str) -> int | None:
    """The major version in what `java -version` prints; None when it prints none. 8 used to call itself 1.8."""
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else None


def endpoints(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the services that the daemon itself speaks to; none of AWS' own."""
    return {service: url for service in ("kinesis", "dynamodb") if (url := aws.endpoint(service, environ))}


def _jars() -> Path:
    spec = find_spec("amazon_kclpy")
    folders: Sequence[str] = spec.submodule_search_locations or () if spec else ()
    for folder in folders:
        if any((jars := Path(folder) / "jars").glob("amazon-kinesis-client-multilang-*.jar")):
            return jars
    raise LookupError("the KCL's jars are not installed. fix: pip install 'takeaway[kcl]', or `make install`")


def _millis(seconds: float) -> str:
    return str(round(seconds * 1000))


def _escaped(value: str) -> str:
    """A backslash begins an escape there, and the file is read as ISO 8859-1."""
    kept = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return "".join(c if c.isascii() else "".join(f"\\u{unit:04x}" for unit in _utf16(c)) for c in kept)


def _utf16(character: str) -> list[int]:
    encoded = character.encode("utf-16-be")
    return [int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2)]
