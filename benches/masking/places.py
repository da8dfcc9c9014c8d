"""Where the secrets of the corpus stand: surroundings as sessions of agents have them."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from .alphabet import Dice


@frozen
class Case:
    """
    One document of the corpus.

    Attributes:
        family, place: What it holds, and where.
        body: A body as a record has it.
        secrets: Texts that may not be left, in whole or in large part.
        bystanders: Texts beside them that must stay.
    """

    family: str
    place: str
    body: dict[str, Any]
    secrets: tuple[str, ...] = ()
    bystanders: tuple[str, ...] = ()


def said(text: str) -> dict[str, Any]:
    return {"items": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}


def output(text: str) -> dict[str, Any]:
    return {"items": [{"type": "function_call_output", "call_id": "call_7", "output": text}]}


def called(name: str, arguments: object) -> dict[str, Any]:
    text = json.dumps(arguments)
    item = {"type": "function_call", "call_id": "call_7", "name": name, "arguments": text}
    return {"items": [item]}


Place = Callable[[Dice, str, str], tuple[dict[str, Any], tuple[str, ...]]]
"""From dice, a name and a secret to a body and its bystanders."""


def _env_file(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    user, host = d.word(), f"{d.word()}.internal"
    quote = '"' if "\n" in secret else ""
    text = f"APP_ENV=production\nDB_USER={user}\n{name}={quote}{secret}{quote}\nDB_HOST={host}\n"
    return output(f"$ cat .env\n{text}"), (user, host)


def _export(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    directory = f"services/{d.word()}"
    text = f"$ export {name}={secret}\n$ cd {directory} && make deploy\nok\n"
    return output(text), (directory,)


def _json_file(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    region = f"eu-{d.word()}-1"
    text = json.dumps({"region": region, "auth": {_camel(name): secret}, "retries": 3}, indent=2)
    return output(text), (region,)


def _arguments(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    path = f"/srv/{d.word()}/config.json"
    content = json.dumps({_camel(name): secret})
    return called("write_file", {"path": path, "content": content}), (path,)


def _yaml(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    image = f"registry.local/{d.word()}:1.4"
    indented = "|\n    " + secret.replace("\n", "\n    ") if "\n" in secret else secret
    text = f"image: {image}\nenv:\n  {name.lower()}: {indented}\nreplicas: 2\n"
    return said(f"why does this not start?\n```yaml\n{text}```"), (image,)


def _python(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    module = d.word()
    text = f'import {module}\n\n{name} = """{secret}"""\n' if "\n" in secret else (
        f'import {module}\n\n{name} = "{secret}"\nclient = {module}.Client({name})\n'
    )  # fmt: skip
    return said(f"fix my script:\n```python\n{text}```"), (f"import {module}",)


def _structure(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    domain = d.word()
    return {"domain": domain, "payload": {"settings": {_camel(name): secret}}}, (domain,)


def _log_line(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = d.uuid()
    text = f"2026-11-02T10:11:12Z WARN request={request} {name.lower()}={secret} status=401"
    return output(text), (request, "status=401")


def _option(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    option = name.lower().replace("_", "-")
    target = d.word()
    return called("shell", {"command": f"./{target} --{option} {secret} --verbose"}), (target,)


def _xml(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    tag, user = _camel(name), d.word()
    return output(f"<server><user>{user}</user><{tag}>{secret}</{tag}></server>"), (user,)


def _entries(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    region = d.word()
    env = [{"name": "REGION", "value": region}, {"name": name, "value": secret}]
    return called("deploy", {"containers": [{"env": env}]}), (region,)


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(part.title() for part in rest)


NAMED_PLACES: Mapping[str, Place] = {
    "env file": _env_file,
    "shell export": _export,
    "JSON file": _json_file,
    "JSON in tool arguments": _arguments,
    "YAML": _yaml,
    "Python": _python,
    "structured value": _structure,
    "log line": _log_line,
    "option": _option,
    "XML": _xml,
    "name and value": _entries,
}


def _prose(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    topic = d.word()
    return said(f"please use {secret} for the {topic} job, it expires tomorrow"), (topic,)


def _header(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    host = f"api.{d.word()}.dev"
    command = f"curl -s -H 'Authorization: Bearer {secret}' https://{host}/v1/me"
    return called("shell", {"command": command}), (host,)


def _query(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    page = f"page={d.number(2, 99)}"
    url = f"https://{d.word()}.example.org/v2/items?access_token={secret}&{page}"
    return output(f"GET {url} 200 in 12 ms"), (page,)


def _key(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    owner = d.word()
    return {"domain": "keys", "payload": {"seen": {secret: owner}}}, (owner,)


def _terminal(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    note = d.word()
    return output(f"\x1b[1;32m{secret}\x1b[0m  {note}\r\nnext\n"), (note,)


def _twice_nested(d: Dice, name: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    topic = d.word()
    inner = json.dumps({"event": topic, "body": json.dumps({name.lower(): secret})})
    return output(inner), (topic,)


def _table(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    row = f"{d.word()},{d.number(1, 900)}"
    return output(f"name,id,value\n{row},{secret}\n"), (row,)


def _raw_bytes(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    kept = d.word()
    wrapped = {"$ss": ["bytes", base64.b64encode(f"x {secret} y".encode()).decode()]}
    return {"domain": kept, "payload": {"raw": wrapped}}, (kept,)


TOKEN_PLACES: Mapping[str, Place] = {
    "prose": _prose,
    "header": _header,
    "URL": _query,
    "key of an object": _key,
    "terminal colours": _terminal,
    "JSON in JSON in a string": _twice_nested,
    "CSV": _table,
    "wrapped bytes": _raw_bytes,
}


def _url(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    user, host = d.word(), f"{d.word()}-db.internal:5432"
    scheme = d.pick("postgres", "mysql", "mongodb+srv", "redis", "amqp", "https")
    return output(f"DATABASE_URL={scheme}://{user}:{secret}@{host}/app"), (f"{user}:", host)


def _asked(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    user = d.word()
    return said(f"log in as {user}, the password is {secret}"), (user,)


def _colon(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    user = d.word()
    return said(f"username: {user}\npassword: {secret}\nthanks"), (user, "thanks")


def _curl(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    user, host = d.word(), f"{d.word()}.internal"
    command = f"curl -fsS -u {user}:{secret} https://{host}/health"
    return called("shell", {"command": command}), (host,)


def _sshpass(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    host = f"{d.word()}.internal"
    return called("shell", {"command": f"sshpass -p '{secret}' ssh root@{host} uptime"}), (host,)


def _basic(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    pair = base64.b64encode(f"{d.word()}:{secret}".encode()).decode()
    return output(f"> GET / HTTP/1.1\n> Authorization: Basic {pair}\n> Accept: */*"), ("Accept",)


def _connection(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    server = f"{d.word()}.internal"
    text = f"Server={server};Database=app;User Id=svc;Password={secret};Encrypt=true"
    return output(text), (server, "Encrypt=true")


def _number(d: Dice, _: str, secret: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    value: Any = int(secret) if secret.isdigit() else secret
    port = d.number(1024, 9999)
    return {"domain": "db", "payload": {"port": port, "password": value}}, (str(port),)


PASSWORD_PLACES: Mapping[str, Place] = {
    "URL with a password": _url,
    "said": _asked,
    "said, line by line": _colon,
    "curl -u": _curl,
    "sshpass": _sshpass,
    "basic header": _basic,
    "connection string": _connection,
    "value of a key": _number,
}
