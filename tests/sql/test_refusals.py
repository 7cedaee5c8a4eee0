"""What servers and gateways refuse, on real ones: the sender's troubles cost nobody a message or a coupon."""

import json
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any, get_args

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from include import channels, notify, policy, warehouse
from include.channels import Outgoing, answers, profiles
from include.channels.mail import Mail
from include.channels.webhook import Webhook
from include.errors import BadInput
from include.steps.delivery import deliver
from tests.sql import planted
from tests.sql.conftest import free_port
from tests.sql.planted import errors, plant, states

pytestmark = pytest.mark.usefixtures("warehouse")

#: 10:00 in New York on the day after the planted business day.
MORNING = datetime(2017, 10, 2, 14, tzinfo=UTC)

PAGE = (warehouse.ROOT / "docs/delivery.md").read_text(encoding="utf-8")


def rows_below(heading: str) -> list[tuple[str, str]]:
    """What the docs say in the table under a heading: each answer and its meaning."""
    table = PAGE.split(f"| {heading} | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    return [
        (answer, meaning.strip("`"))
        for told, meaning in found
        for answer in re.findall("`([^`]+)`", told)
    ]


BY_MAIL = rows_below("mail server answers")
BY_HTTP = [(int(status), meaning) for status, meaning in rows_below("gateway answers")]
OURS = {"sender", "sender_at_once"}


@pytest.fixture(autouse=True)
def conn(warehouse, monkeypatch):
    from include.warehouse import connect

    monkeypatch.setenv("REGULARS_POLICY", str(policy.DEFAULT_PATH))
    with connect() as opened:
        planted.clear(opened)
        opened.commit()
        yield opened


def attempts(conn) -> set[int]:
    conn.commit()
    return {n for (n,) in warehouse.rows(conn, "SELECT DISTINCT attempts FROM marketing.messages")}


# --- the table ---------------------------------------------------------------------------------------


def test_the_table_says_what_the_code_says():
    assert len(BY_MAIL) + len(BY_HTTP) >= 40
    assert [(told, answers.of_smtp(int(told[:3]), told[4:])) for told, _ in BY_MAIL] == BY_MAIL
    assert [(status, answers.of_http(status)) for status, _ in BY_HTTP] == BY_HTTP
    told = {meaning for _, meaning in BY_MAIL + BY_HTTP}
    assert told == set(get_args(answers.Meaning))
    assert set(re.findall(r"^\| `(\w+)` \| \S", PAGE.split("Of a mail server")[0], re.M)) == told


@pytest.mark.parametrize(("answer", "meaning"), [row for row in BY_MAIL if row[1] != "unknown"])
def test_a_mail_server_that_says_it_to_all(conn, use, mailbox, answer, meaning):
    """Of five none is lost, but where each was refused for itself; afterwards all others arrive."""
    use(channels="{email: smtp, sms: outbox}", backoff_minutes="1")
    plant(conn, 5)
    mailbox.refuse = {f"c{n}@example.com": answer for n in range(1, 6)}
    if meaning == "recipient":
        assert deliver.send(MORNING) == {"dead": 5}
        assert states(conn) == {"dead/cancelled": 5}
        return
    if meaning == "later":
        assert deliver.send(MORNING) == {"failed": 3}
        ((told,),) = warehouse.rows(conn, "SELECT error FROM ops.notices")
        assert "Expected messages by email to be taken, found 3 in a row" in told
    else:
        with pytest.raises(
            deliver.SenderTrouble, match=rf"email: The mail server .*\({answer[:3]}"
        ):
            deliver.send(MORNING)
    tried = 1 if meaning == "sender_at_once" else 3
    assert states(conn) == {"failed/approved": tried, "pending/approved": 5 - tried}
    assert attempts(conn) == {0}
    assert len(mailbox.mails) == 0
    mailbox.refuse = {}
    assert deliver.send(MORNING + timedelta(minutes=2)) == {"sent": 5}
    assert len(mailbox.mails) == 5


@pytest.mark.parametrize(
    "answer",
    [
        "550 5.4.5 Daily user sending limit exceeded",
        "554 5.7.0 Message limit exceeded. Try again later.",
        "554 5.7.1 Relay access denied",
    ],
)
@pytest.mark.parametrize("where", ["at RCPT", "at DATA"])
def test_a_quota_costs_none_of_forty(conn, use, mailbox, answer, where):
    """Met in the middle; run after run finds it, and after a day all arrive."""
    use(channels="{email: smtp, sms: outbox}", backoff_minutes="1", max_attempts="2")
    plant(conn, 40)
    warehouse.execute(conn, "UPDATE marketing.messages SET send_not_after = '2017-10-07T00:00Z'")
    conn.commit()
    mailbox.quota, mailbox.over_quota, mailbox.at_data = 5, answer, where == "at DATA"
    for minutes in range(0, 30, 5):
        with pytest.raises(deliver.SenderTrouble):
            deliver.send(MORNING + timedelta(minutes=minutes))
        assert set(states(conn)) == {"sent/sent", "failed/approved", "pending/approved"} or set(
            states(conn)
        ) == {"sent/sent", "failed/approved"}
    assert states(conn)["sent/sent"] == 5
    mailbox.quota = None
    assert deliver.send(MORNING + timedelta(hours=2)) == {"sent": 35}
    assert states(conn) == {"sent/sent": 40}
    assert len({message_from_bytes(raw)["Message-ID"] for raw in mailbox.mails}) == 40


@pytest.mark.parametrize(("status", "meaning"), BY_HTTP)
def test_a_gateway_that_says_it_to_all(conn, use, gateway, status, meaning):
    use(channels="{email: webhook, sms: webhook}", backoff_minutes="1")
    plant(conn, 5)
    gateway.script = [status]
    if meaning in ("later", "unknown"):
        assert deliver.send(MORNING) == {"failed": 3}
    else:
        with pytest.raises(deliver.SenderTrouble, match=rf"email: The gateway .*\({status}\)"):
            deliver.send(MORNING)
    tried = 1 if meaning == "sender_at_once" else 3
    assert len(gateway.requests) == tried
    kept = "failed/sent" if meaning == "unknown" else "failed/approved"
    assert states(conn) == {kept: tried, "pending/approved": 5 - tried}
    assert attempts(conn) == ({0, 1} if meaning == "unknown" else {0})
    gateway.script = [200]
    assert deliver.send(MORNING + timedelta(minutes=2)) == {"sent": 5}
    assert states(conn) == {"sent/sent": 5}


@pytest.mark.parametrize(("status", "ends"), [(422, "dead/cancelled"), (404, "failed/approved")])
def test_between_others_that_are_taken_it_was_said_of_the_recipient(
    conn, use, gateway, status, ends
):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 5)
    gateway.script = [200, status, status, 200, status, 200]
    counts = deliver.send(MORNING)
    assert counts == {"sent": 2, ends.partition("/")[0]: 3} or status == 422
    assert states(conn) == {"sent/sent": 2, ends: 3}


def test_one_alone_that_is_refused_as_the_senders_is_kept(conn, use, mailbox):
    """For every recipient: there is no other to compare with."""
    use(channels="{email: smtp, sms: outbox}", max_attempts="1")
    plant(conn, 1)
    mailbox.refuse = {"c1@example.com": "554 5.7.1 Relay access denied"}
    with pytest.raises(deliver.SenderTrouble):
        deliver.send(MORNING)
    assert states(conn) == {"failed/approved": 1}


def test_a_recipient_that_is_unknown_hides_no_quota(conn, use, mailbox):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 8)
    quota, nobody = "550 5.4.5 Daily limit exceeded", "550 5.1.1 No such user"
    mailbox.refuse = {f"c{n}@example.com": nobody if n % 2 else quota for n in range(1, 9)}
    with pytest.raises(deliver.SenderTrouble):
        deliver.send(MORNING)
    assert states(conn)["failed/approved"] == 3
    assert "dead/cancelled" in states(conn)


def test_a_channel_that_refuses_us_leaves_the_others_their_turn(conn, use, mailbox, gateway):
    use(channels="{email: smtp, sms: webhook}")
    plant(conn, 4)
    warehouse.execute(
        conn, "UPDATE marketing.messages SET channel = 'sms' WHERE external_id IN ('3', '4')"
    )
    conn.commit()
    mailbox.refuse = {f"c{n}@example.com": "550 5.4.5 quota" for n in range(1, 5)}
    with pytest.raises(deliver.SenderTrouble):
        deliver.send(MORNING)
    assert states(conn) == {"failed/approved": 2, "sent/sent": 2}
    assert len(gateway.requests) == 2


# --- the connection ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    """A key and a certificate for 127.0.0.1 and localhost that nobody has signed."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
         "-out", cert, "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


class Kept:
    """A handler that keeps mails and who logged in."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.logins: list[bytes] = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(envelope.content)
        return "250 OK"

    def login(self, server, session, envelope, mechanism, data):
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"right", handled=False)


@pytest.fixture
def serve(certificate) -> Iterator[Callable[..., tuple[Kept, int]]]:
    running = []

    def start(*, tls: bool) -> tuple[Kept, int]:
        box, port = Kept(), free_port()
        context = None
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate[1], certificate[0])
        server = Controller(
            box, hostname="127.0.0.1", port=port, tls_context=context, authenticator=box.login,
            auth_require_tls=False,
        )  # fmt: skip
        server.start()
        running.append(server)
        return box, port

    yield start
    for server in running:
        server.stop()


@pytest.mark.parametrize(
    ("tls", "trusted", "user", "asked", "sent", "told"),
    [
        (True, True, "shop:right@", "", 1, None),
        (True, True, "", "", 1, None),
        (True, True, "", "?tls=demanded", 1, None),
        (True, True, "shop:wrong@", "", 0, "refuses name or password"),
        (True, False, "shop:right@", "", 0, "certificate is not to be trusted"),
        (True, False, "", "", 0, "certificate is not to be trusted"),
        (False, True, "shop:right@", "", 0, "offers no TLS, which is demanded"),
        (False, True, "", "?tls=demanded", 0, "offers no TLS, which is demanded"),
        (False, True, "shop:right@", "?tls=offered", 1, None),
        (False, True, "", "", 1, None),
    ],
)
def test_tls_is_demanded_with_a_password(
    conn, use, serve, certificate, monkeypatch, tls, trusted, user, asked, sent, told
):
    use(channels="{email: smtp, sms: outbox}")
    plant(conn, 1)
    box, port = serve(tls=tls)
    address = f"smtp://{user}127.0.0.1:{port}{asked}"
    monkeypatch.setenv("REGULARS_SMTP_URL", address)
    monkeypatch.setenv("REGULARS_NOTICE_SMTP_URL", address)
    monkeypatch.setenv("REGULARS_NOTICE_TO", "oncall@shop.example")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", certificate[1])
    if told is None:
        assert deliver.send(MORNING) == {"sent": 1}
    else:
        with pytest.raises(deliver.SenderTrouble, match=told):
            deliver.send(MORNING)
        assert states(conn) == {"failed/approved": 1}
        if "right" in user:
            assert box.logins == [], "no password went over the wire"
    assert len(box.mails) == sent
    # Notices go the same way.
    notice = notify.Notice("d", "r", None, None, None, None, "a", "l")
    assert notify.send(notice)[0] == "email"
    assert len(box.mails) == 2 * sent


@pytest.mark.parametrize(
    "address", ["http://x", "smtp://", "smtp://h:port", "smtp://h?tls=never", "smtp://h?ssl=1"]
)
def test_an_address_that_is_none_is_one_sentence(address):
    with pytest.raises(BadInput, match="Expected REGULARS_SMTP_URL as smtp://"):
        Mail(address, policy.load().delivery)


# --- what a mail is ----------------------------------------------------------------------------------

MESSAGE = Outgoing(
    "da25cb54-78ea-4b79-912c-84ac0bfd98f2", "email", "welcome", "a@example.com", "Hi\r\nthere",
    "Grüße, " * 200 + "\u202eevil\u2066", "<p>\u200fä</p>", "https://shop.example/u?m=1",
)  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/u",
        "https://www.my-garden-shop.example/newsletter/unsubscribe",
        f"https://shop.example/{'long/' * 150}u?lang=en",
        "https://bücher.example/abmelden/größe",
    ],
)
def test_headers_are_literal_whatever_their_length(conn, use, mailbox, url):
    use(channels="{email: smtp, sms: outbox}", unsubscribe_url=url)
    plant(conn, 1)
    assert deliver.send(MORNING) == {"sent": 1}
    (raw,) = mailbox.mails
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    joint = "&" if "?" in url else "?"
    link = f"{url}{joint}m={planted.person(2001)}"
    link = link.replace("bücher", "xn--bcher-kva").replace("größe", "gr%C3%B6%C3%9Fe")
    assert f"\r\nList-Unsubscribe: <{link}>\r\n" in f"\r\n{head}\r\n"
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head
    assert f"\r\nMessage-ID: <{planted.person(2001)}@shop.example>\r\n" in head
    assert "=?" not in head.replace("Subject: For you: =?utf-8?q?=C3=A4?=", "")
    sent = message_from_bytes(raw)["Date"]
    moment = datetime.strptime(sent, "%a, %d %b %Y %H:%M:%S %z")
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=2)


def test_a_mail_is_seven_bits_in_short_lines_without_letters_that_reorder():
    mail = Mail("smtp://127.0.0.1", policy.load().delivery).compose(MESSAGE)
    raw = bytes(mail)
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) < 998
    assert mail["Subject"] == "Hi there"
    parts = [part.get_content() for part in mail.walk() if not part.is_multipart()]
    assert parts[0].rstrip().endswith("Grüße, evil")
    assert parts[1].strip() == "<p>ä</p>"


# --- the gateway -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "plain", "told"),
    [
        ("http://gateway.example/send", "", "Expected https:// in REGULARS_WEBHOOK_URL"),
        ("http://10.0.0.7/send", "", "Expected https:// in REGULARS_WEBHOOK_URL"),
        ("http://127.0.0.1.example/", "", "Expected https:// in REGULARS_WEBHOOK_URL"),
        ("http://10.0.0.7/send", "allowed", None),
        ("http://127.9.9.9/send", "", None),
        ("http://[::1]:8080/send", "", None),
        ("http://localhost/send", "", None),
        ("https://gateway.example/send", "", None),
        ("ftp://gateway.example", "", "found something else"),
        ("https:///send", "", "found something else"),
        ("https://gateway.example", "yes", "Expected REGULARS_WEBHOOK_PLAIN to be allowed"),
    ],
)
def test_a_gateway_is_spoken_to_by_https(monkeypatch, address, plain, told):
    monkeypatch.setenv("REGULARS_WEBHOOK_URL", address)
    monkeypatch.setenv("REGULARS_WEBHOOK_PLAIN", plain)
    if told is None:
        with Webhook.from_environment():
            return
    with pytest.raises(BadInput, match=told):
        Webhook.from_environment()


def test_proxies_are_ignored_unless_configured(conn, use, gateway, monkeypatch):
    use(channels="{email: webhook, sms: webhook}")
    plant(conn, 1)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert deliver.send(MORNING) == {"sent": 1}
    monkeypatch.setenv("REGULARS_WEBHOOK_PROXY", "http://127.0.0.1:9")
    with Webhook.from_environment() as webhook, pytest.raises(channels.Unavailable):
        webhook.send(MESSAGE)
    monkeypatch.setenv("REGULARS_WEBHOOK_PROXY", "no proxy")
    with pytest.raises(BadInput, match="REGULARS_WEBHOOK_PROXY"):
        Webhook.from_environment()


# --- profiles ----------------------------------------------------------------------------------------

KEYS = {
    "POSTMARK_SERVER_TOKEN": "pm-token", "TELNYX_API_KEY": "tx-key", "TELNYX_FROM": "+15550100",
}  # fmt: skip


@pytest.fixture
def keys(monkeypatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def profiled(use, gateway, keys, tmp_path):
    """A shipped profile, but for its address: that of a gateway of our own."""

    def change(name: str, channel: str, **more: str) -> None:
        text = (profiles.FOLDER / f"{name}.yml").read_text()
        text = re.sub(r"(?m)^address: .*$", f"address: {gateway.url}", text)
        file = tmp_path / f"{name}.yml"
        file.write_text(text)
        leaves = {"email": "outbox", "sms": "outbox"} | {channel: "webhook"}
        chosen = ", ".join(f"{key}: {value}" for key, value in leaves.items())
        use(channels=f"{{{chosen}}}\n  gateways: {{{channel}: {file}}}", **more)

    return change


@pytest.mark.parametrize("name", sorted(file.stem for file in profiles.FOLDER.glob("*.yml")))
def test_a_shipped_profile_is_read_and_cites_its_documentation(keys, name):
    found = profiles.read(profiles.FOLDER / f"{name}.yml")
    assert found.address.startswith("https://")
    host = found.address.split("/")[2].split(".", 1)[1]
    assert all(host in page for page in found.documentation)
    assert f"`{name}`" in PAGE


def test_mail_by_postmark(conn, profiled, gateway):
    profiled("postmark", "email")
    plant(conn, 2)
    gateway.bodies = [
        (200, {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a", "To": "c1@example.com"}),
        (422, {"ErrorCode": 406, "Message": "You tried to send to an inactive recipient."}),
    ]
    assert deliver.send(MORNING) == {"dead": 1, "sent": 1}
    headers, body = gateway.requests[0]
    assert headers["X-Postmark-Server-Token"] == "pm-token"
    assert "X-Regulars-Signature" not in headers
    link = f"https://shop.example/unsubscribe?m={planted.person(2001)}"
    assert json.loads(body) == {
        "From": "Regulars Demo Shop <hello@shop.example>", "To": "c1@example.com",
        "Subject": "For you: ä", "TextBody": "Hello 1\n.\nend", "HtmlBody": "<p>Hello</p>",
        "Tag": "vip_exclusive", "MessageStream": "broadcast",
        "Headers": [
            {"Name": "List-Unsubscribe", "Value": f"<{link}>"},
            {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
        ],
        "Metadata": {"message_id": planted.person(2001)},
    }  # fmt: skip
    assert errors(conn) == [None, "The gateway refused it (422 406)."]
    assert warehouse.rows(
        conn, "SELECT provider_id FROM marketing.messages WHERE status = 'sent'"
    ) == [("b7bc2f4a",)]


@pytest.mark.parametrize(
    ("status", "code", "tried"),
    [(401, 10, 1), (422, 405, 1), (422, 413, 1), (422, 400, 3), (422, 300, 3), (500, 402, 3)],
)
def test_postmark_refuses_us(conn, profiled, gateway, status, code, tried):
    profiled("postmark", "email", backoff_minutes="1")
    plant(conn, 5)
    gateway.bodies = [(status, {"ErrorCode": code, "Message": "no"})]
    with pytest.raises(deliver.SenderTrouble, match=rf"\({status} {code}\)"):
        deliver.send(MORNING)
    assert states(conn) == {"failed/approved": tried, "pending/approved": 5 - tried}
    gateway.bodies = [(200, {"ErrorCode": 0, "MessageID": "m"})]
    assert deliver.send(MORNING + timedelta(minutes=2)) == {"sent": 5}


def test_text_messages_by_telnyx(conn, profiled, gateway):
    profiled("telnyx", "sms")
    plant(conn, 3, channel="sms", subject=None, body_html=None)
    gateway.bodies = [
        (200, {"data": {"id": "40385f64-5717-4562-b3fc-2c963f66afa6", "record_type": "message"}}),
        (400, {"errors": [{"code": "10002", "title": "Invalid phone number"}]}),
        (200, {"data": {"id": "40385f64-5717-4562-b3fc-2c963f66afa7", "record_type": "message"}}),
    ]
    assert deliver.send(MORNING) == {"dead": 1, "sent": 2}
    headers, body = gateway.requests[0]
    assert headers["Authorization"] == "Bearer tx-key"
    found = json.loads(body)
    assert (found["from"], found["text"]) == ("+15550100", "Hello 1\n.\nend")
    assert set(found) == {"from", "to", "text"}
    assert errors(conn) == [None, "The gateway refused it (400 10002).", None]
    assert warehouse.rows(
        conn, "SELECT provider_id FROM marketing.messages WHERE status = 'sent' ORDER BY 1 LIMIT 1"
    ) == [("40385f64-5717-4562-b3fc-2c963f66afa6",)]


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [(401, "10009", True), (403, "10010", True), (429, "10011", False)],
)
def test_telnyx_refuses_us(conn, profiled, gateway, status, code, told):
    profiled("telnyx", "sms", backoff_minutes="1")
    plant(conn, 5, channel="sms", subject=None, body_html=None)
    gateway.bodies = [(status, {"errors": [{"code": code, "title": "no"}]})]
    if told:
        with pytest.raises(deliver.SenderTrouble, match=rf"\({status} {code}\)"):
            deliver.send(MORNING)
    else:
        assert deliver.send(MORNING) == {"failed": 3}
    gateway.bodies = [(200, {"data": {"id": "m"}})]
    assert deliver.send(MORNING + timedelta(minutes=2)) == {"sent": 5}


def test_a_gateway_that_drops_no_copies_is_sent_none(conn, profiled, gateway):
    """An answer that got lost is given up and says so; so is a sender that died while it waited for it."""
    profiled("telnyx", "sms", backoff_minutes="1")
    plant(conn, 1, channel="sms", subject=None, body_html=None)
    gateway.script = ["drop"]
    assert deliver.send(MORNING) == {"dead": 1}
    assert deliver.send(MORNING + timedelta(hours=1)) == {}
    assert states(conn) == {"dead/sent": 1}
    warehouse.execute(
        conn,
        "UPDATE marketing.messages SET status = 'claimed', claimed_by = 99999999, attempts = 0, "
        "handed_over_at = now(), provider = 'webhook'",
    )
    conn.commit()
    assert deliver.send(MORNING + timedelta(hours=2)) == {"dead": 1}
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: None, "found no file: correct delivery.gateways of the policy; shipped are"),
        (lambda text: text.replace("answers:", "answers"), "found no YAML"),
        (lambda text: text.replace("name: data.id", "named: data.id"), "answers.name"),
        (lambda text: text.replace("{to}", "{too}"), r"found \{too\}: correct it"),
        (lambda text: text.replace("later", "soon"), "answers.means.10011"),
        (lambda text: text.replace("[sms]", "[email]"), "which takes email: name another"),
        (lambda text: text.replace("TELNYX_FROM", "OTHER_FROM"), "the variable OTHER_FROM"),
        (lambda text: text.replace("  - https://", "  - http://"), "documentation.0"),
    ],
)
def test_a_profile_that_is_none_is_one_sentence(keys, tmp_path, change, told):
    text = change((profiles.FOLDER / "telnyx.yml").read_text())
    file = tmp_path / "own.yml"
    if text is not None:
        file.write_text(text)
    delivery = policy.load().delivery
    named = delivery.model_copy(
        update={"gateways": delivery.gateways.model_copy(update={"sms": str(file)})}
    )
    with pytest.raises(BadInput, match=told):
        profiles.of_channel("sms", named)


def test_a_client_of_our_own_takes_what_we_sign(gateway):
    """The receiver's side as the docs show it."""
    import hashlib
    import hmac
    import time

    (example,) = re.findall(r"```python\n(def is_ours.*?)```", PAGE, re.S)
    space: dict[str, Any] = {"hmac": hmac, "hashlib": hashlib}
    exec(example, space)  # noqa: S102 - our own page
    is_ours = space["is_ours"]
    with Webhook(gateway.url, "s3cret") as webhook:
        webhook.send(MESSAGE)
    headers, body = gateway.requests[0]
    signed = headers["X-Regulars-Signature"]
    assert is_ours(b"s3cret", signed, body, time.time())
    assert not is_ours(b"s3cret", signed, body + b" ", time.time())
    assert not is_ours(b"other", signed, body, time.time())
    assert not is_ours(b"s3cret", signed, body, time.time() + 3600)
    later = re.sub(r"t=\d+", f"t={int(time.time()) + 3600}", signed)
    assert not is_ours(b"s3cret", later, body, time.time() + 3600)
