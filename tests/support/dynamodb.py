"""What lies on a local DynamoDB that many tests share."""

from typing import Any


def table_names(dynamodb: Any) -> list[str]:
    """All of them: one answer of `ListTables` has a hundred at most."""
    return [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]
