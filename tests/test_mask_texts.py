"""What is masked in a text, and what is let stand."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_tools import DICE, KEY, OTHER, RULES, TOKEN, alnum, hexes, masked_text, urlsafe

from benches.masking.families import TOKENS
from session_store.redaction import default_rules
from session_store.redaction.spans import MARKER


@pytest.mark.parametrize("make", TOKENS.values(), ids=TOKENS)
def test_each_family_is_found_in_a_sentence(make) -> None:
    """And nothing of it, or of what stands around it, is left or taken."""
    found = masked_text(f"use {make(DICE)} now")

    between = found.removeprefix("use ").removeprefix("https://").removesuffix(" now")
    assert MARKER.fullmatch(between.encode())


FOUND = {
    "a whole key block": (f"a\n{KEY}\nb", "a\n[REDACTED:private-key]\nb"),
    "an unfinished key block": (KEY[:200], "[REDACTED:private-key]"),
    "a key block in JSON in a text": (KEY.replace("\n", "\\n"), "[REDACTED:private-key]"),
    "a quoted password in JSON": (
        '{"password": "tR0ub4dor" ',
        '{"password": "[REDACTED:named-password]" ',
    ),
    "an escaped password": (
        r"\"password\":\"tR0ub4dor\" y",
        r"\"password\":\"[REDACTED:named-password]\" y",
    ),
    "a number as password": ("password=84736251 ok", "password=[REDACTED:named-password] ok"),
    "a shell's export": (f"export TOKEN={alnum(24)}", "export TOKEN=[REDACTED:named-secret]"),
    "a password with @": (
        "postgres://bob:p@ss9@db/app",
        "postgres://bob:[REDACTED:url-password]@db/app",
    ),
    "slashes escaped": (r"redis:\/\/bob:p9ss\u0040x@db", r"redis:\/\/bob:[REDACTED:url-password]@db"),
    "a bearer": (f"Authorization: Bearer {urlsafe(40)}", "Authorization: Bearer [REDACTED:authorization]"),
    "basic": (
        "Basic " + base64.b64encode(b"bob:s3cret9").decode(),
        "Basic [REDACTED:authorization]",
    ),
    "curl": ("curl -u bob:s3cret9 https://h", "curl -u bob:[REDACTED:command-line-password] https://h"),
    "an option": ("run --api-key 9f8e7d6c5b4a39281 -v", "run --api-key [REDACTED:named-secret] -v"),
    "XML": ("<dbPassword>s3cret9x</dbPassword>", "<dbPassword>[REDACTED:named-password]</dbPassword>"),
    "a sentence": ("the password is s3cret9x.", "the password is [REDACTED:named-password]."),
    "colours": (f"\x1b[32m{TOKEN}\x1b[0m", "\x1b[32m[REDACTED:github-token]\x1b[0m"),
    "two in one": (f"{TOKEN},{OTHER}", "[REDACTED:github-token],[REDACTED:stripe-key]"),
    "letters of more bytes": ("пароль password: тайна9!", "пароль password: [REDACTED:named-password]"),
    "netrc": ("machine h login bob password s3cret9", "machine h login bob password [REDACTED:netrc-password]"),
    "a query": ("https://h/?token=9f8e7d6c5b4a3928&page=2", "https://h/?token=[REDACTED:named-secret]&page=2"),
    "a cookie": (f"Cookie: a=b; sessionid={alnum(32)}", "Cookie: a=b; sessionid=[REDACTED:cookie]"),
    "docker": (
        '"auth": "' + base64.b64encode(b"bob:s3cret9").decode() + '"',
        '"auth": "[REDACTED:docker-auth]"',
    ),
    "a signature of a URL": (f"https://h/b?sv=1&sig={alnum(43)}%3D", "https://h/b?sv=1&sig=[REDACTED:url-signature]"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND)
def test_what_is_found(text: str, expected: str) -> None:
    """In the surroundings that tell."""
    assert expected == masked_text(text)


LEFT = {
    "words that begin like tokens": "pip install sk-learn-is-a-great-library-for-everybody",
    "tasks": "task-1234567890123456789012345 is done",
    "a placeholder": "export TOKEN=${GITHUB_TOKEN}",
    "an example": "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
    "stars": 'password: "********"',
    "code": "password = getpass.getpass('Password: ')",
    "an environment": 'token = os.environ["GITHUB_TOKEN"]',
    "a comparison": 'if password == "tR0ub4dor":',
    "a schema": '{"password": {"type": "string"}}',
    "a count": '{"max_tokens": 4096, "input_total_tokens": 12345}',
    "a cursor": '{"next_page_token": "CAUQAA9f8e7d6c5b4a"}',
    "a digest": "sha256:" + hexes(64),
    "a commit": f"commit {hexes(40)}",
    "a UUID": f"request={DICE.uuid()}",
    "a certificate": KEY.replace("RSA PRIVATE KEY", "CERTIFICATE"),
    "a public key": KEY.replace("RSA PRIVATE KEY", "PUBLIC KEY"),
    "the usual credentials": "postgres://user:password@localhost/db",
    "a scoped package": "https://cdn.example.org:8443/@scope/pkg@2.1.0/index.js",
    "a marker": "token: [REDACTED:github-token] password=[REDACTED:named-password]",
    "a path": "private_key=/etc/ssl/private/host.pem",
    "a model": "token=text-embedding-3-large",
    "CamelCase": "token = Token.Name.Builtin.SchemeFunction",
    "a header of two lines": "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_what_is_let_stand(text: str) -> None:
    assert text == masked_text(text)


def test_an_image_is_passed_over_and_what_stands_around_it_is_not() -> None:
    """In a KiB of base64 a token is chance; a token of more than that is one all the same."""
    image = base64.b64encode(DICE.random.randbytes(3000)).decode()
    token = f"eyJ{alnum(1500)}.eyJ{alnum(2500)}.{alnum(43)}"

    assert "[REDACTED:github-token] " + image == masked_text(f"{TOKEN} {image}")
    assert f"{image},[REDACTED:stripe-key]" == masked_text(f"{image},{OTHER}")
    assert "[REDACTED:jwt]" == masked_text(token)


def test_what_is_allowed_is_let_stand() -> None:
    """Whatever rule finds it."""
    rules = default_rules(allow=["^gh", "^s3cret9x$"])

    assert TOKEN == masked_text(TOKEN, rules)
    assert "password=s3cret9x" == masked_text("password=s3cret9x", rules)
    assert "[REDACTED:stripe-key]" == masked_text(OTHER, rules)


def test_candidates_can_be_left_out() -> None:
    """What its shape alone gives away is still found."""
    rules = default_rules(confidence="definite")

    assert f"password=s3cret9x {'[REDACTED:github-token]'}" == masked_text(
        f"password=s3cret9x {TOKEN}", rules
    )


def test_the_version_tells_rules_apart() -> None:
    """Equal ones have the same, others another."""
    others = [default_rules(allow=["x"]), default_rules(confidence="definite")]

    assert RULES.version == default_rules().version
    assert 3 == len({RULES.version, *(rules.version for rules in others)})


PIECES = st.sampled_from(
    [TOKEN, OTHER, KEY, "[REDACTED:x]", "[REDACTED:", "]", "-----BEGIN ", "Bearer ", "s3cret9x"]
) | st.sampled_from(
    ["password", "token", "=", ": ", '"', "'", "\\", "://", "@", " ", "\n", "é", "{"]
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.text(max_size=8), max_size=12))
def test_masking_twice_is_masking_once(pieces: list[str]) -> None:
    """Whatever stands beside what."""
    once = RULES.mask_text("".join(pieces).encode("utf-8", "surrogatepass"))

    assert once == RULES.mask_text(once)


@settings(max_examples=100)
@given(st.lists(PIECES | st.text(max_size=8), max_size=8))
def test_no_prefixed_token_survives_beside_anything_that_ends_a_word(pieces: list[str]) -> None:
    text = f"{''.join(pieces)} {TOKEN} {''.join(pieces)}"

    assert TOKEN.encode() not in RULES.mask_text(text.encode("utf-8", "surrogatepass"))
