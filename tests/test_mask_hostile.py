"""Input made to be slow: every rule is linear in it (row 83 of the fault matrix)."""

import base64
import random
import time

import orjson
import pytest
from mask_tools import RULES

from session_store.redaction.bodies import mask_body

SIZE = 1 << 18
CPU_SECONDS_MAX = 0.75
"""A third of it is the promise for a quarter of a MiB; machines that test are shared."""

REPEATED = (  # noqa: SIM905 - read as a text
    "A a _ - \\ \\\\n \\\" \" ' ` { [ @ :// ://a: ://a:b@ ://:@ sk- sk_ SK AKIA ghp_ gh glpat- eyJ .ey eyJa. "
    "auth authorization: key api_key api_key= _key= token tokentoken token= password password= pwd=pwd "
    "password=\" password=' password=` passwordpassword= cookie:sid= sig= ?sig=aaaaaaaaaaaaaaaaaaaaaaaaaaaa "
    "Q~ 8Q~aaaaaaaaaaaaaaaaaaaa 1:AA 11111111:AAaaaaaaaaaaaaaaaaaaaaa sl.aaaaaaaaaaaaaaaaaaaaaaaaaaaa "
    "MTaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaa. aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-us AKIAAAAAAAAAAAAAAAAA: [REDACTED: "
    "[REDACTED:a] <password> password>a</ hooks.slack.com/services/AAAAAAAAA/BBBBBBBBB/CCCCCCCCCCCCCCCCCC. "
    "eyJaaaaaaaaaaaaaaaa.eyJaaaaaaaaaaaa. xoxe.xoxb- bearer+ bearer+a. authorization= cookie=sid= fm2_ "
    '"name":"password","value": {"a": \\u0041'
).split(" ")  # fmt: skip
SPACED = (  # noqa: SIM905 - the same
    "bearer |Bearer aaaaaaaaaaaaaaaa |basic |basic QUFBOkFBQUFBQQ== |password: |token is |secret secret |"
    "--password |pass -p |mysql |mysql -|curl |curl -u |curl -u a:|redis-cli -a |machine |token:\n|\r\n|"
    "machine a login b password |-----BEGIN RSA PRIVATE KEY-----|-----BEGIN RSA PRIVATE KEY-----\nAAAA|"
    "Private-Lines: 1\nAAAA|cookie: a=b;|password is password is |Authorization: token "
).split("|")  # fmt: skip


def random_bytes() -> dict[str, bytes]:
    data = random.Random(1).randbytes(SIZE)
    return {
        "random bytes": data,
        "base64": base64.b64encode(data)[:SIZE],
        "base64 for URLs": base64.urlsafe_b64encode(data)[:SIZE],
        "hex": data.hex().encode()[:SIZE],
    }


INPUTS = {text: (text.encode() * (SIZE // len(text) + 1))[:SIZE] for text in REPEATED + SPACED}
INPUTS |= random_bytes()


@pytest.mark.parametrize("text", INPUTS.values(), ids=INPUTS)
def test_what_repeats_takes_a_second_for_each_mebibyte(text: bytes) -> None:
    """As a text, and as what a body says; whatever is done to it, it stays JSON."""
    body = orjson.dumps({"message": text.decode("utf-8", "replace"), "interrupted": False})
    start = time.process_time()

    out = mask_body("run_errored", body, RULES)

    assert time.process_time() - start < CPU_SECONDS_MAX
    assert {"message", "interrupted"} == orjson.loads(out).keys()


DEEP = {
    "brackets": b'{"a":' + b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "many keys": b"{"
    + b",".join(b'"k%d":1' % n for n in range(100_000))
    + b',"password":"a1b2c3"}',
    "JSON in JSON": None,
}


def test_deep_and_wide_documents_take_no_longer() -> None:
    """Not JSON that any reader takes, or very much of it."""
    text = "tail"
    for _ in range(12):
        text = orjson.dumps([text, 'password=a1b2c3"']).decode()
    inputs = [data for data in DEEP.values() if data is not None]
    start = time.process_time()

    for data in [*inputs, orjson.dumps({"message": text})]:
        mask_body("run_errored", data, RULES)

    assert time.process_time() - start < 12 * CPU_SECONDS_MAX
