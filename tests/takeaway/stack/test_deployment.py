import pytest

from takeaway.errors import UserError
from takeaway.stack import deployment
from tests.conftest import LocalAws


@pytest.mark.local_aws
def test_deploying_twice_changes_nothing(local_aws: LocalAws) -> None:
    assert deployment.deploy(local_aws.environ) == deployment.settings(local_aws.environ)


@pytest.mark.local_aws
def test_a_missing_stack_says_so_and_what_to_do(local_aws: LocalAws) -> None:
    with pytest.raises(UserError, match="no stack 'nowhere'") as raised:
        deployment.settings({**local_aws.environ, "TAKEAWAY_STACK": "nowhere"})
    assert "takeaway deploy" in raised.value.fix
