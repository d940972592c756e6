"""`python -m takeaway.programs.embedded`: MiniStack behind our guard, and able to deploy no more than our own stack.

Its settings are MiniStack's own variables; AWS_ACCESS_KEY_ID is the key that it asks for.
"""

import os
import re
from typing import Any

from ministack import app as ministack
from ministack.services.cloudformation import provisioners

from takeaway.local import LOCALSTACK_FOLDER, guarded


def main() -> None:
    _deploy_only(set(re.findall(r"Type: (AWS::\w+::\w+)", (LOCALSTACK_FOLDER / "resources.yaml").read_text())))
    ministack.app = guarded(ministack.app, os.environ["AWS_ACCESS_KEY_ID"])
    ministack.main()


def _deploy_only(types: set[str]) -> None:
    """Some of its types run code as the user, Lambda functions among them, whatever SERVICES says."""

    def refuse(_logical_id: str, _properties: Any, _stack: str, kind: str = "a custom resource") -> Any:
        raise ValueError(f"Unsupported resource type: {kind}")

    # guarantee: the local AWS deploys no other kind of resource than ours
    for kind in provisioners._RESOURCE_HANDLERS.keys() - types:  # noqa: SLF001 - it has no setting for this
        del provisioners._RESOURCE_HANDLERS[kind]  # noqa: SLF001
    provisioners._custom_resource_create = refuse  # noqa: SLF001


if __name__ == "__main__":
    main()
