"""What looks like a secret and is none: ids, digests, images, placeholders, code, words."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from .alphabet import ALNUM, HEX, URLSAFE, Dice
from .places import called, output, said

Maker = Callable[[Dice], dict[str, Any]]


def _lock(d: Dice) -> dict[str, Any]:
    name = f"{d.word()}-{d.word()}"
    url = f"https://registry.npmjs.org/{name}/-/{name}-1.2.{d.number(0, 40)}.tgz"
    digest = base64.b64encode(d.random.randbytes(64)).decode()
    return output(f'"node_modules/{name}": {{"resolved": "{url}", "integrity": "sha512-{digest}"}}')


def _png(d: Dice) -> dict[str, Any]:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + d.random.randbytes(d.number(900, 4000))).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"items": [{"role": "user", "content": [{"type": "image", "source": source}]}]}


def _reasoning(d: Dice) -> dict[str, Any]:
    text = d.base64(d.number(300, 1200))
    return {"items": [{"type": "reasoning", "summary": [], "encrypted_content": f"gAAAAAB{text}"}]}


def _certificate(d: Dice) -> dict[str, Any]:
    body = d.base64(600)
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    kind = d.pick("CERTIFICATE", "PUBLIC KEY", "CERTIFICATE REQUEST")
    return output(f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")


def _usage(d: Dice) -> dict[str, Any]:
    return {
        "history_len": d.number(1, 90),
        "input_total_tokens": d.number(1000, 200000),
        "cache_read_tokens": d.number(0, 90000),
        "output_tokens": d.number(1, 9000),
    }


def _schema(d: Dice) -> dict[str, Any]:
    field = d.pick("password", "token", "api_key", "client_secret", "passphrase")
    about = {"type": "string", "minLength": 8, "description": f"The {d.word()} {field}."}
    return {"domain": "tools", "payload": {"properties": {field: about}, "required": [field]}}


def _line(*templates: str) -> Maker:
    """Texts with words, numbers and digests put in."""

    def make(d: Dice) -> dict[str, Any]:
        text = d.pick(*templates)
        for name, value in (
            ("SLACK", "xo" + "xb"),
            ("WORD2", d.word()),
            ("WORD", d.word()),
            ("NUM", str(d.number(100, 99999))),
            ("UUID", d.uuid()),
            ("HEX64", d.text(64, HEX)),
            ("HEX40", d.text(40, HEX)),
            ("HEX32", d.text(32, HEX)),
            ("HEX12", d.text(12, HEX)),
            ("ID24", d.text(24)),
        ):
            text = text.replace(name, value)
        wrap = d.pick("said", "output", "called")
        if wrap == "said":
            return said(text)
        return output(text) if wrap == "output" else called("shell", {"command": text})

    return make


# Nothing tells them from what they look like: the rules are known to mask them.
HARD: Mapping[str, Maker] = {
    "a cursor that is called a token": lambda d: output(
        json.dumps({"token": d.text(24), "total": 9})
    ),
    "a test password": lambda d: said(f"const password = 'expect{d.number(10, 99)}Fail';"),
}

LOOKALIKES: Mapping[str, Maker] = {
    "UUIDs": _line(
        "request_id=UUID trace=UUID",
        '{"id": "UUID", "parent": "UUID"}',
        "see https://app.WORD.dev/runs/UUID for the run",
        "session UUID resumed, 12 entries",
    ),
    "git": _line(
        "commit HEX40\nAuthor: WORD <WORD2@example.org>\n    fix the WORD parser",
        "index HEX12..HEX12 100644\n--- a/WORD.py\n+++ b/WORD.py",
        "HEX40 refs/heads/WORD",
        "git cherry-pick HEX40 && git push origin WORD",
    ),
    "digests": _line(
        "sha256:HEX64", "HEX64  WORD-1.2.tar.gz", 'etag: "HEX32"', "md5 HEX32 ok", "blake3 = HEX64"
    ),
    "containers": _line(
        "FROM registry.local/WORD@sha256:HEX64",
        "HEX12   WORD:latest   'sleep 1'   2 hours ago   Up 2 hours",
        "layer HEX64: already exists",
    ),
    "lock files": _lock,
    "lock file checksums": _line(
        'name = "WORD"\nversion = "1.NUM.0"\nchecksum = "HEX64"',
        '{file = "WORD-1.0-py3-none-any.whl", hash = "sha256:HEX64"}',
        "WORD==1.2.3 --hash=sha256:HEX64",
        "h1:HEX64 WORD/go.sum",
    ),
    "images": _png,
    "encrypted reasoning": _reasoning,
    "signatures of thinking": lambda d: {
        "items": [{"type": "thinking", "thinking": d.word(), "signature": d.base64(240)}]
    },
    "certificates and public keys": _certificate,
    "SSH public keys": lambda d: output(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{d.base64(32)} me@{d.word()}"),
    "usage": _usage,
    "schemas": _schema,
    "ids of calls": lambda d: {
        "items": [
            {
                "type": "function_call",
                "call_id": d.pick("call_", "toolu_01", "fc_") + d.text(24),
                "id": d.pick("msg_", "resp_", "chatcmpl-", "item_") + d.text(32, HEX),
                "name": "shell",
                "arguments": "{}",
            }
        ]
    },
    "placeholders": _line(
        "export OPENAI_API_KEY=sk-...",
        "ANTHROPIC_API_KEY=your-api-key-here",
        "API_KEY=<your key>",
        "token: ${GITHUB_TOKEN}",
        'password: "********"',
        "password: {{ vault_WORD_password }}",
        "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        'api_key = "YOUR_API_KEY"',
        "SECRET_KEY=changeme",
        "DB_PASSWORD=$DB_PASSWORD docker compose up",
        "--token $TOKEN --password-stdin",
        "password = %(WORD_password)s",
        "Authorization: Bearer <token>",
        "Authorization: Bearer $ACCESS_TOKEN",
        "AUTH_TOKEN=[REDACTED:github-token]",
    ),
    "examples of the documentation": _line(
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "postgres://user:password@localhost:5432/WORD",
        "mysql://root:root@127.0.0.1/WORD",
        "redis://default:secret@localhost:6379",
        "https://username:password@example.com/WORD.git",
        "curl -u user:password https://example.com/WORD",
        "amqp://guest:guest@localhost:5672//",
        "SLACK-123456789012-1234567890123-abcdefghijklmnopqrstuvwx",
    ),
    "code about passwords": _line(
        "password = getpass.getpass('WORD: ')",
        "password = os.environ['WORD_PASSWORD']",
        "def login(user: str, password: str) -> Token:",
        "if password == stored_password:",
        "self.password = password",
        "password=self.password, timeout=NUM)",
        "hash = bcrypt.hash(password, salt)",
        "assert user.check_password(password)",
        'parser.add_argument("--password", help="the WORD password")',
        "password: Optional[str] = None",
        "const password = await prompt('WORD');",
        "SELECT id, password FROM WORD WHERE id = NUM",
    ),
    "code about tokens": _line(
        'token = os.environ["WORD_TOKEN"]',
        "const token = process.env.WORD_TOKEN;",
        "api_key: str = Field(default_factory=load_api_key)",
        "headers = {'Authorization': f'Bearer {token}'}",
        "token = next(tokens)",
        "secret = hmac.new(key, msg, hashlib.sha256)",
        "api_key=settings.WORD_api_key,",
        "client_secret = config.get('WORD', 'client_secret')",
        "access_token = response.json()['access_token']",
        "private_key = load_pem_private_key(data, password=None)",
        "tokenizer = AutoTokenizer.from_pretrained('WORD-base')",
        "encoding = tiktoken.get_encoding('cl100k_base')",
    ),
    "counts of tokens": _line(
        "max_tokens=NUM", "tokens: NUM", '"max_output_tokens": NUM', "prompt tokens NUM, cached NUM",
        '{"token": "WORD", "logprob": -0.1}', '{"tokens": ["WORD", "WORD2"], "eos_token": "</s>"}',
    ),
    "pages": _line(
        '{"next_page_token": "CAUQAA"}', "continuation_token=ID24", "nextPageToken: ID24",
        '{"pageToken": "ID24", "total": NUM}',
    ),
    "keys that are none": _line(
        "primary_key=WORD_id", 'cache_key = "WORD:HEX32"', "partition_key: WORD-NUM",
        "idempotency_key=UUID", 'key="WORD_NUM"', "public_key: HEX64", "sort_key = WORD#NUM",
        "keyboard_layout = WORD", '{"key": "WORD-NUM", "value": "WORD2-NUM"}',
    ),
    "words with sk- and the like": _line(
        "pip install sk-learn-is-a-great-library-WORD-WORD2",
        "see task-1234567890123456789012345 and task-NUM-WORD",
        "the risk-assessment-of-WORD-and-WORD2-is-done",
        "disk-sda1-WORD-partition-WORD2-NUM",
        "use sk-learn-contrib-WORD-extensions-WORD2",
        "desk_live_WORD_session_WORD2_NUM",
        "the key-value-store-of-WORD-WORD2",
        "hf_transfer_enabled_for_WORD_downloads_NUM",
        "npm_config_registry_WORD_mirror_setting_on",
        "sk-container-id-NUM div.sk-toggleable__content",
    ),
    "words about secrets": _line(
        "Forgot your password? Click reset.", "password must be at least 12 characters",
        "the token is invalid or expired", "secret santa is on the NUMth", "error: bad credentials",
        "the password is wrong for WORD", "Bearer authentication is required for WORD",
        "Basic authentication is enabled", "your API key is missing", "Token: none",
        "password: required", "the secret: patience and WORD", "rotate the signing key for WORD",
    ),
    "models and versions": _line(
        "model=claude-3-5-sonnet-20241022", "model: gpt-4o-mini-2024-07-18", "WORD-v1.2.3-rc.4",
        "python-3.11.7-linux-x86_64", "text-embedding-3-large token=NUM",
    ),
    "paths": _line(
        "/usr/lib/python3/dist-packages/WORD/WORD2/token.py:NUM",
        "PWD=/home/WORD/src/WORD2", "private_key=/etc/ssl/private/WORD.pem",
        "SSH_KEY=~/.ssh/id_ed25519", "secret: /run/secrets/WORD_token",
        "token_file=./WORD/token.json", "password_file: /run/secrets/WORD",
    ),
    "minified code": lambda d: output(
        ";".join(f"function {d.text(2)}(e,t){{return e.{d.word()}(t)}}" for _ in range(40))
    ),
    "URLs": _line(
        "https://WORD.example.org:8443/WORD2@2.1.0/index.js",
        "https://cdn.example.org/npm/@WORD/WORD2@NUM/dist.js",
        "git@github.com:WORD/WORD2.git", "http://localhost:8080/@WORD",
        "s3://WORD-bucket/WORD2/HEX32/part-NUM.parquet", "https://WORD.example.org/?v=HEX12",
    ),
    "numbers": _line(
        "tel +49 30 NUM NUM", "port=NUM pid=NUM", "2026-11-02T10:11:12.NUM", "0xHEX12 0xHEX12",
        "order NUM-NUM-NUM", "ISBN 978-3-NUM", "10.0.NUM.1:5432",
    ),
    "traces of programs": _line(
        '  File "WORD.py", line NUM, in verify_token\n    raise InvalidToken("WORD")',
        "at Object.getToken (/srv/WORD/auth.js:NUM:12)",
        "panic: secret WORD not found in namespace WORD2",
        "KeyError: 'api_key'", "TokenError: unexpected token '}' at NUM",
    ),
    "base64 of text": lambda d: output(
        base64.b64encode(" ".join(d.word() for _ in range(d.number(8, 60))).encode()).decode()
    ),
    "random names of builds": lambda d: output(
        f"deploy/{d.word()}-{d.text(10, HEX)}-{d.text(5, 'bcdfghjklmnpqrstvwxz2456789')} Running"
    ),
    "buckets and ids": lambda d: called(
        "get", {"id": d.text(20), "object": d.text(24, HEX), "file": f"file-{d.text(22)}"}
    ),
    "query strings": lambda d: output(
        f"https://{d.word()}.example.org/?utm={d.word()}&id={d.text(22, URLSAFE)}&h={d.text(40, HEX)}"
    ),
    "JSON in strings": lambda d: output(
        json.dumps({"id": d.text(24, ALNUM), "sha": d.text(40, HEX), "next": d.uuid()})
    ),
}  # fmt: skip
