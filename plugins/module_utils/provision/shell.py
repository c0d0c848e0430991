"""What the provisioning modules have in common: the AWS session, errors as sentences and the result."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, TypeVar

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..adapters.missing import exceptions
from .changes import Changes
from .errors import ProvisionError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
except ImportError:
    # AnsibleAWSModule says what to install.
    BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound = exceptions(
        "BotoCoreError", "ClientError", "NoCredentialsError", "ProfileNotFound"
    )

Result = TypeVar("Result")
Work = Callable[["Aws", Mapping[str, Any], Changes], Mapping[str, Any]]

TAGS_ARGUMENT = {"type": "dict", "default": {}}


class Aws:
    """Clients of one session, which count their requests."""

    def __init__(self, session: Any, **arguments: Any) -> None:
        self._session = session
        self._arguments = arguments
        self._clients: dict[str, Any] = {}
        self.calls = 0

    @classmethod
    def of_module(cls, module: AnsibleAWSModule) -> Aws:
        """The session that the module's connection options describe."""
        region, endpoint, connection = get_aws_connection_info(module)
        config = Config(retries={"mode": "standard", "max_attempts": 8}, user_agent_extra="swarm.aws")
        if "aws_config" in connection:
            config = config.merge(connection["aws_config"])
        session = boto3.session.Session(
            aws_access_key_id=connection["aws_access_key_id"],
            aws_secret_access_key=connection["aws_secret_access_key"],
            aws_session_token=connection["aws_session_token"],
            region_name=region,
            profile_name=connection.get("profile_name"),
        )
        return cls(session, endpoint_url=endpoint, verify=connection["verify"], config=config)

    def __getattr__(self, service: str) -> Any:
        """The client of a service by its name, such as ``aws.ec2``."""
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self._clients:
            client = self._session.client(service, **self._arguments)
            client.meta.events.register("before-send", self._count)
            self._clients[service] = client
        return self._clients[service]

    @property
    def region(self) -> str:
        """The session's region."""
        return self._session.region_name

    def regions(self) -> list[str]:
        """All regions that EC2 is known to have, without asking."""
        return [
            region
            for partition in self._session.get_available_partitions()
            for region in self._session.get_available_regions("ec2", partition)
        ]

    def _count(self, **_: Any) -> None:
        self.calls += 1


def code(error: Exception) -> str:
    """The code of an error that AWS answered with, or an empty string."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


def unless_missing(call: Callable[[], Result], *codes: str) -> Any:
    """What the call returns, or None if AWS answers with one of the codes, which say that it is not there."""
    try:
        return call()
    except ClientError as error:
        if code(error) in codes:
            return None
        raise


def not_found(error: Exception) -> bool:
    """Whether EC2 says that it does not know an ID, as it may of one that it gave out a moment ago."""
    return code(error).endswith(".NotFound")


def once_visible(
    call: Callable[[], Result],
    not_yet: Callable[[Exception], bool],
    seconds: float = 90,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Call until AWS sees what was created a moment ago: again while ``not_yet`` holds for its error.

    Raises the last error when the seconds are over.
    """
    deadline = clock() + seconds
    delay = 0.5
    while True:
        try:
            return call()
        except ClientError as error:
            if not not_yet(error) or clock() + delay > deadline:
                raise
        sleep(delay)
        delay = min(delay * 2, 5)


def awaited(
    look: Callable[[], Result | None],
    what: str,
    seconds: float = 90,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """What ``look`` returns as soon as that is not None. Raises ProvisionError, which names it, after the seconds."""
    deadline = clock() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if clock() > deadline:
            raise ProvisionError(f"Waited {seconds:.0f} s for {what}, which did not come: run this again.")
        sleep(1)


def sentence(error: Exception) -> str:
    """An SDK's error as a sentence."""
    if isinstance(error, NoCredentialsError):
        return "There are no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if isinstance(error, ProfileNotFound):
        return f"{error}: correct AWS_PROFILE, or add the profile to your AWS configuration."
    if isinstance(error, ClientError) and code(error):
        answer = error.response["Error"]
        return f"AWS refused {error.operation_name} with {answer['Code']}: {answer.get('Message') or 'no reason given'}"
    return f"AWS did not answer: {error}"


def run(arguments: Mapping[str, Any], work: Work) -> None:
    """Be a module: parse the arguments, do the work and report. Never returns."""
    module = AnsibleAWSModule(argument_spec=dict(arguments), supports_check_mode=True)
    changes = Changes(module.check_mode)
    try:
        aws = Aws.of_module(module)
    except BotoCoreError as error:
        module.fail_json(msg=sentence(error), api_calls=0, **changes.result())
    try:
        result = dict(work(aws, module.params, changes))
    except ProvisionError as error:
        module.fail_json(msg=str(error), api_calls=aws.calls, **changes.result())
    except (ClientError, BotoCoreError) as error:
        module.fail_json(msg=sentence(error), api_calls=aws.calls, **changes.result())
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(api_calls=aws.calls, **changes.result(), **result)
