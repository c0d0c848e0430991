"""The frame of a module on the controller: arguments, session, errors as sentences, result."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from .aws_session import AWS_ERRORS, AwsSession, sentence
from .changes import Changes
from .provision_error import ProvisionError

Work = Callable[[AwsSession, Mapping[str, Any], Changes], Mapping[str, Any]]

TAGS_ARGUMENT = {"type": "dict", "default": {}}


def run(arguments: Mapping[str, Any], work: Work, **rules: Any) -> None:
    """Parse the module's arguments, do the work and exit with the result. Never returns.

    ``rules`` are about several arguments, such as ``required_together``.
    """
    module = AnsibleAWSModule(argument_spec=dict(arguments), supports_check_mode=True, **rules)
    changes = Changes(module.check_mode)
    aws = AwsSession.of_options(*get_aws_connection_info(module))
    try:
        result = dict(work(aws, module.params, changes))
    except ProvisionError as error:
        module.fail_json(msg=str(error), **changes.result())
    except AWS_ERRORS as error:
        module.fail_json(msg=sentence(error), **changes.result())
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**changes.result(), **result)
