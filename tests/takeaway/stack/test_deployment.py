import pytest

from takeaway.errors import UserError
from takeaway.local.aws import local_environ
from takeaway.stack import deployment
from tests.conftest import LocalAws
from tests.support.proxy import Answer, proxy


@pytest.mark.local_aws
def test_deploying_twice_changes_nothing(local_aws: LocalAws) -> None:
    assert deployment.deploy(local_aws.environ) == deployment.settings(local_aws.environ)


@pytest.mark.local_aws
def test_a_missing_stack_says_so_and_what_to_do(local_aws: LocalAws) -> None:
    with pytest.raises(UserError, match="no stack 'nowhere'") as raised:
        deployment.settings({**local_aws.environ, "TAKEAWAY_STACK": "nowhere"})
    assert "takeaway deploy" in raised.value.fix


@pytest.mark.slow
@pytest.mark.parametrize("code", ["UnrecognizedClientException", "AccessDenied", "ExpiredToken"])
def test_credentials_that_are_refused_are_not_taken_for_a_missing_stack(code: str) -> None:
    def refuse(*_: object) -> Answer:
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        return Answer(403, (("Content-Type", "text/xml"),), body.encode())

    with proxy("http://127.0.0.1:9", refuse) as endpoint, pytest.raises(UserError, match=f"made of: {code}") as raised:
        deployment.settings(local_environ(endpoint))
    assert "check the credentials" in raised.value.fix
