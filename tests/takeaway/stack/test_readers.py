"""What `takeaway env` prints, evaluated by a shell, is all that other readers need for a lake on plain HTTP."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from analytics.archiving.sink import LakeSink
from analytics.table.log import DeltaLog
from foundation.aws import storage_options
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from takeaway.local import LOCAL_AWS, Running, save_environ, save_services
from takeaway.stack import reader_variables
from tests.conftest import LocalAws
from tests.support import ROOT
from tests.support.worlds.lake_world import KEYS, NEVER, SHARD, feed

READ = """
import json, os
import duckdb, polars
from deltalake import DeltaTable

lake = os.environ["TAKEAWAY_READERS_LAKE"]
rows = DeltaTable(lake).to_pyarrow_dataset()
found = {
    "deltalake": rows.count_rows(),
    "polars": polars.scan_delta(lake).select(polars.len()).collect().item(),
    "duckdb": duckdb.sql("select count(*) from rows").fetchall()[0][0],
}
with duckdb.connect() as alone:
    # Nothing is fetched from elsewhere here: that far it is DuckDB's own SQL, and wants the extension.
    alone.execute("set autoinstall_known_extensions = false")
    try:
        alone.execute(os.environ["TAKEAWAY_READERS_DUCKDB"])
        found["alone"] = "httpfs"
    except duckdb.Error as error:
        found["alone"] = str(error)
print(json.dumps(found))
"""


def test_toward_aws_itself_only_the_address_is_said() -> None:
    environ = {"TAKEAWAY_LAKE_BUCKET": "lake", "AWS_REGION": "eu-west-1"}
    assert reader_variables(environ) == {"TAKEAWAY_READERS_LAKE": "s3://lake/events"}
    assert reader_variables({"AWS_REGION": "eu-west-1"}) == {}


def test_duckdbs_secret_is_quoted_and_says_whether_to_encrypt() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "it's", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    environ = {**keys, "TAKEAWAY_LAKE_BUCKET": "lake", "AWS_REGION": "r", "AWS_ENDPOINT_URL_S3": "https://s3.local:9"}
    found = reader_variables(environ)
    assert found["TAKEAWAY_READERS_DUCKDB"] == (
        "CREATE OR REPLACE SECRET takeaway (TYPE s3, KEY_ID 'it''s', SECRET 's', SESSION_TOKEN 't', REGION 'r', "
        "ENDPOINT 's3.local:9', URL_STYLE 'path', USE_SSL true)"
    )
    assert "AWS_ALLOW_HTTP" not in found


@pytest.mark.local_aws
def test_deltalake_polars_and_duckdb_read_the_lake_in_a_shell_that_evaluated_it(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    bucket = f"lake-{uuid.uuid4()}"
    client: Any = local_aws.client("s3")
    client.create_bucket(Bucket=bucket)
    log = DeltaLog(f"s3://{bucket}/events", storage_options(local_aws.environ), SYSTEM_CLOCK)
    sink = LakeSink("orders", Bucket(client, bucket), log, NEVER, SYSTEM_CLOCK, lambda _: None, keys=KEYS)
    shard = sink.open(SHARD)
    feed(shard, [1, 2, 3])
    shard.flush()
    # As `takeaway up` leaves it, so that `env` has to say everything.
    save_environ(tmp_path, local_aws.reached)
    ours = psutil.Process()
    save_services(tmp_path / "services.json", [Running(LOCAL_AWS, ours.pid, ours.create_time(), "")])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    script = f'eval "$({sys.executable} -m takeaway.cli env)" && exec {sys.executable} -c "$READ"'
    done = subprocess.run(  # noqa: S603 - our own arguments
        ["bash", "-c", script],  # noqa: S607
        cwd=ROOT,
        env={**plain, "TAKEAWAY_HOME": str(tmp_path), "TAKEAWAY_LAKE_BUCKET": bucket, "READ": READ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "httpfs" in found.pop("alone")
    assert found == {"deltalake": 3, "polars": 3, "duckdb": 3}
