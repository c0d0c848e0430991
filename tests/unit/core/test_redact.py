"""No secret comes through the redactor, wherever it stands; and what is none does."""

from __future__ import annotations

import json

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.redaction import (
    REMOVED,
    Redactor,
    environment_values,
    without_plain_secrets,
)
from hypothesis import given
from hypothesis import strategies as st

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def texts(alphabet: str, smallest: int, largest: int | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=smallest, max_size=largest or smallest)


# Each a strategy for the secret and how it stands in a log or a file.
access_secret = texts(BASE64, 37).map(lambda text: "aB7" + text)
session_token = texts(BASE64, 200, 400).map(lambda text: "FwoGZXIvYXdzE" + text)
key_body = texts(BASE64, 64, 64).map(lambda text: "xY1" + text)
# With a digit, so that it is no word of the text around it, such as `password`.
password = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGH0123456789!$%^*-_.~", min_size=8, max_size=29).map("7{}".format)
tokens = st.tuples(texts(BASE36, 50), texts(BASE36, 25)).map(lambda two: f"SWMTKN-1-{two[0]}-{two[1]}")
# Secrets that are recognised by their form.
PLAIN = st.one_of(
    tokens.map(lambda secret: (secret, secret)),
    texts(BASE64, 43).map(lambda secret: (f"SWMKEY-1-{secret}", f"SWMKEY-1-{secret}")),
    st.tuples(st.sampled_from(["AKIA", "ASIA"]), texts(UPPER, 16)).map(lambda two: ("".join(two), "".join(two))),
    password.map(lambda secret: (secret, f"postgres://app:{secret}@db:5432/shop")),
    texts(BASE36, 30).map(lambda secret: (secret, f"Authorization: Bearer {secret}")),
    key_body.map(
        lambda secret: (
            secret,
            f"-----BEGIN OPENSSH PRIVATE KEY-----\n{secret}\n{secret}\n-----END OPENSSH PRIVATE KEY-----",
        )
    ),
    # A key without its end, and a key on a single line of JSON.
    key_body.map(lambda secret: (secret, f"-----BEGIN RSA PRIVATE KEY-----\n{secret}")),
    key_body.map(
        lambda secret: (secret, json.dumps(f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"))
    ),
)
SECRETS = st.one_of(
    PLAIN,
    access_secret.map(lambda secret: (secret, secret)),
    access_secret.map(lambda secret: (secret, f'"SecretAccessKey" : "{secret}"')),
    session_token.map(lambda secret: (secret, f'"Token" : "{secret}",')),
    session_token.map(lambda secret: (secret, f"export AWS_SESSION_TOKEN={secret}")),
    password.map(lambda secret: (secret, f"password={secret}")),
    password.map(lambda secret: (secret, f"Authorization: Bearer {secret}")),
    password.map(lambda secret: (secret, f"DB_PASSWORD: '{secret}'")),
    password.map(lambda secret: (secret, f"mysql --password {secret} -h db")),
    password.map(lambda secret: (secret, f"mysql --db-password={secret}")),
    password.map(lambda secret: (secret, json.dumps({"api_key": secret}))),
    password.map(lambda secret: (secret, json.dumps(json.dumps({"client_secret": secret})))),
)
# Of other characters than the secrets.
AROUND = st.text("äöü ÄÖÜ\n:;,", max_size=40)


@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_no_secret_remains_in_a_text(secret, before, after):
    value, written = secret
    redacted = Redactor().text(f"{before}\n{written} {after}")
    assert value not in redacted
    assert REMOVED in redacted


@given(secret=PLAIN, before=AROUND, after=AROUND)
def test_a_secret_is_recognised_by_its_form_and_other_words_stay(secret, before, after):
    value, written = secret
    redacted = without_plain_secrets(f"{before}\n{written} {after}")
    assert value not in redacted
    assert redacted.startswith(before) and redacted.strip().endswith(after.strip())


@pytest.mark.parametrize("text", ["token=abc", "the password is kept", "a" * 300, f"sha256:{'0123456789abcdef' * 4}"])
def test_a_suspicious_word_stays_if_only_the_form_counts(text):
    assert without_plain_secrets(text) == text


@given(secret=SECRETS)
def test_no_secret_remains_in_a_document(secret):
    value, written = secret
    redacted = Redactor().document({"Log": [written, {"Message": f"a {written}"}], "Labels": {"x": written}})
    assert value not in json.dumps(redacted)


@given(known=password, before=AROUND, after=AROUND)
def test_a_known_secret_is_removed_everywhere(known, before, after):
    redactor = Redactor([known])
    assert known not in redactor.text(f"{before}{known}{after}")
    assert json.dumps(known)[1:-1] not in redactor.text(json.dumps({"seen": f"{before}{known}{after}"}))


@given(text=st.one_of(AROUND, SECRETS.map(lambda two: two[1])))
def test_redacting_twice_changes_nothing_more(text):
    redactor = Redactor()
    once = redactor.text(text)
    assert redactor.text(once) == once


@pytest.mark.parametrize(
    "line",
    [
        "pulled haproxy@sha256:9340e7a0f14d575f02c351c9063154373ab2fe953273074c63369d1b485a1a2b",
        "/var/lib/docker/overlay2/5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef/merged",
        "node ykkrxne5noeovj3y1n9kd0dj7 of i-0123456789abcdef0 is Ready",
        "commit 1db8637aa0e3fbbf1e2c33bb1f0f4c0f3f4e5a6b",
        "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1f3c:autoScalingGroupName/example-manager",
        "The engine refused to change the node: rpc error: code = Unknown desc = update out of sequence",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/example-events",
        "secrets are removed, and tokens too",
    ],
)
def test_a_useful_log_line_is_not_changed(line):
    assert Redactor().text(line) == line


def test_environment_variables_keep_their_names_without_values():
    service = {"Spec": {"ContainerSpec": {"Env": ["MODE=fast", "KEY=a=b"], "Args": ["--password", "hunter2", "-v"]}}}
    spec = Redactor().document(service)["Spec"]["ContainerSpec"]
    assert spec == {"Env": [f"MODE={REMOVED}", f"KEY={REMOVED}"], "Args": ["--password", REMOVED, "-v"]}
    assert environment_values([service, {"Env": ["PATH=/bin", "EMPTY="]}, {"Env": None}]) == ["fast", "a=b"]


def test_a_secret_field_is_removed_whatever_its_value():
    engine = {"JoinTokens": {"Worker": "short"}, "UnlockKey": "short", "Token": "plain", "Count": 3, "Tokens": []}
    assert Redactor().document(engine) == {
        "JoinTokens": REMOVED,
        "UnlockKey": REMOVED,
        "Token": REMOVED,
        "Count": 3,
        "Tokens": [],
    }
