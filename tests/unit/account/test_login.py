"""A login that is missing or has expired is a sentence with the command to type, before anything else is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws import aws_session
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    LoginRefreshRequired,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

ROOT = Path(__file__).resolve().parents[3]
# `role` has no login of its own, and `office` one that was never made.
PROFILES = """
[profile office]
sso_session = company
sso_account_id = 123456789012
sso_role_name = operator
[sso-session company]
sso_region = eu-west-1
sso_start_url = https://company.awsapps.com/start
[profile role]
role_arn = arn:aws:iam::123456789012:role/operator
source_profile = office
[profile circle]
source_profile = circle
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, and an AWS configuration with the profiles."""
    file = tmp_path / "config"
    file.write_text(PROFILES)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeInstances")


@pytest.mark.parametrize(
    ("error", "profile", "command"),
    [
        (SSOTokenLoadError(error_msg="Token for company does not exist"), "office", "aws sso login --profile office"),
        (UnauthorizedSSOTokenError(), "role", "aws sso login --profile office"),
        (TokenRetrievalError(provider="sso", error_msg="Token has expired"), "", "aws sso login"),
        (UnauthorizedSSOTokenError(), "circle", "aws sso login --profile circle"),
        (LoginRefreshRequired(), "office", "aws login --profile office"),
        (ProfileNotFound(profile="offcie"), "offcie", "export AWS_PROFILE=NAME"),
        (NoCredentialsError(), "", "aws configure"),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), "", "aws configure"),
        (refusal("ExpiredToken"), "role", "aws sso login --profile office"),
        (refusal("RequestExpired"), "", "sudo timedatectl set-ntp true"),
        (refusal("InvalidClientTokenId"), "office", "aws configure --profile office"),
        (refusal("AuthFailure", "AWS was not able to validate the provided access credentials"), "", "aws configure"),
        (refusal("RequestTimeTooSkewed"), "", "sudo timedatectl set-ntp true"),
        (
            refusal("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2"),
            "",
            "sudo timedatectl set-ntp",
        ),
        (refusal("SignatureDoesNotMatch"), "", "sudo timedatectl set-ntp true"),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_a_login_problem_has_the_command_to_type(
    error: Exception, profile: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    assert f"`{command}" in aws_session.sentence(error)


def test_a_credential_process_that_fails_is_quoted() -> None:
    error = CredentialRetrievalError(provider="custom-process", error_msg="vault: sealed")
    assert "vault: sealed" in aws_session.sentence(error)


@pytest.mark.real("ansible-playbook: what an operator sees before the first play is Ansible's")
@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize("folder", [ROOT, ROOT / "inventories/example"])
def test_without_a_login_ansible_prints_only_the_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("ansible-playbook"), ROOT / "playbooks/status.yml", *words]
        environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1"}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    missing = run()
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == (
        "[ERROR]: There are no AWS credentials: run `aws configure`, or select a profile with "
        "`export AWS_PROFILE=NAME`.\n"
    )
    assert run("--syntax-check").returncode == 0
    monkeypatch.setenv("AWS_PROFILE", "role")
    expired = run()
    assert (expired.returncode, expired.stdout) == (1, "")
    assert expired.stderr == (
        "[ERROR]: The login of the profile 'role' is missing or has expired: run `aws sso login --profile office`.\n"
    )
