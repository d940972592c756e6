"""The code of a service's error, and none of any other's."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from foundation.error_codes import error_code


@pytest.mark.parametrize(
    ("answer", "code"), [({"Error": {"Code": "Throttling"}}, "Throttling"), ({"Error": {}}, None), ({}, None)]
)
def test_a_services_error_has_the_code_that_the_service_gave(answer: Any, code: str | None) -> None:
    assert error_code(ClientError(answer, "PutRecords")) == code


def test_what_no_service_said_has_none() -> None:
    assert error_code(EndpointConnectionError(endpoint_url="http://nowhere")) is None
