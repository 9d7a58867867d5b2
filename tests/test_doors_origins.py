"""Other sites' pages in the user's own browser: what `serve` and `ui` answer them, at a real port."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("fastapi", reason="pip install fastapi uvicorn")
pytest.importorskip("uvicorn", reason="pip install uvicorn")

from door_server import ask, running
from unrender.server.gate import Gate
from unrender.server.origins import Authority, Names

JSON = {"Content-Type": "application/json"}
STATUS, UNLOAD = "/unrender/v1/status", "/unrender/v1/unload"
OWN = ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"]
STRANGE = [
    *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "0.0.0.0"),
    *("192.0.2.7", "127.0.0.1, evil.example", "evil.example#localhost", "local host", "::1", "xn--lcalhost-n2a", "."),
]
FOREIGN = [
    *("http://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", "https://127.0.0.1:1", "file://"),
    *("chrome-extension://abc", "http://evil.example http://127.0.0.1", "http://a@127.0.0.1:{port}", ""),
]


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with running("serve", tmp_path_factory.mktemp("serve"), "--allowed-host", "unrender.example.org") as command:
        yield command.port


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    pytest.importorskip("gradio", reason="pip install gradio")
    with running("ui", tmp_path_factory.mktemp("ui")) as command:
        yield command.port


@pytest.fixture(params=["serve", "ui"])
def server(request):
    """The port, and a route that tells something."""
    return request.getfixturevalue(request.param), STATUS if request.param == "serve" else "/config"


@pytest.mark.parametrize("host", STRANGE)
def test_by_a_strange_name_nothing_is_told(server, host):
    port, path = server
    for name in (host, f"{host}:{port}"):
        answer = ask(port, f"GET {path}", {"Host": name})
        assert answer.status in (400, 403) and len(answer.body) < 500, name


@pytest.mark.parametrize("host", OWN)
def test_by_its_own_names_a_server_answers(server, host):
    port, path = server
    for name in (host, f"{host}:{port}", f"{host}:1"):
        assert ask(port, f"GET {path}", {"Host": name}).status == 200, name


def test_what_is_no_host_at_all_is_refused(server):
    port, path = server
    assert ask(port, f"GET {path}", {"Host": ""}).status == 400
    assert ask(port, f"GET {path}", {"Host": "127.0.0.1", "host": "evil.example"}).status == 400


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_other_origins_change_and_read_nothing(server, origin):
    port, path = server
    sent = origin.format(port=port) or "http://evil.example"
    asked = [f"GET {path}", f"OPTIONS {path}", f"POST {UNLOAD}", "POST /gradio_api/queue/join", "POST /queue/join"]
    asked += [
        "POST /gradio_api/upload",
        "POST /upload",
        "POST /run/predict",
        "POST /login",
        "POST /interrogator/prompt",
    ]
    for request in asked:
        answer = ask(port, request, {"Origin": sent, "Access-Control-Request-Method": "POST", **JSON}, b"{}")
        assert answer.status == 403, request
        assert not [name for name in answer.headers if name.startswith("access-control")], request


def test_a_server_s_own_page_is_answered_without_a_wildcard(server):
    port, path = server
    answer = ask(port, f"GET {path}", {"Origin": f"http://127.0.0.1:{port}"})
    assert answer.status == 200 and not [name for name in answer.headers if name.startswith("access-control")]
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_a_browser_that_says_cross_site_is_believed(server):
    port, path = server
    for site in ("cross-site", "same-site", "Cross-Site"):
        assert ask(port, f"POST {UNLOAD}", {"Sec-Fetch-Site": site}).status == 403
        assert ask(port, f"GET {path}", {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}).status == 403
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(port, "GET /docs" if path == STATUS else "GET /", followed).status == 200
    for site in ("same-origin", "none"):
        assert ask(port, f"GET {path}", {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded"])
def test_forms_are_no_json(serve, kind):
    for route in (UNLOAD, "/unrender/v1/interrogate", "/interrogator/prompt"):
        assert ask(serve, f"POST {route}", {"Content-Type": kind}, b'{"image": ""}').status == 415
        assert ask(serve, f"POST {route}", {"Content-Type": kind}).status == 415
    assert ask(serve, f"POST {UNLOAD}", {}, b"{}").status == 415, "a blob without a type is sent unasked, too"


def test_programs_and_own_pages_unload(serve):
    own = {"Origin": f"http://127.0.0.1:{serve}", "Sec-Fetch-Site": "same-origin"}
    for headers, body in (({}, b""), (JSON, b""), (JSON, b"{}"), (own, b""), ({**own, **JSON}, b"{}")):
        assert ask(serve, f"POST {UNLOAD}", headers, body).status == 200


def test_a_given_name_is_answered_and_its_pages_are_own(serve):
    page = {"Origin": "https://unrender.example.org"}
    assert ask(serve, f"POST {UNLOAD}", {"Host": "unrender.example.org", **page}).status == 200
    assert ask(serve, f"POST {UNLOAD}", {"Host": f"127.0.0.1:{serve}", **page, **JSON}, b"{}").status == 200
    for other in ("https://unrender.example.org:3000", "https://www.unrender.example.org", "https://example.org"):
        assert ask(serve, f"POST {UNLOAD}", {"Host": "unrender.example.org", "Origin": other}).status == 403


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def test_websockets_of_other_pages_are_refused(ui):
    for path in ("/queue/join", "/gradio_api/queue/join"):
        for strange in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
            assert ask(ui, f"GET {path}", {**UPGRADE, **strange}).status == 403
    told = []

    async def within(scope, receive, send):
        told.append("reached")

    async def send(message):
        told.append(message["type"])

    host, origin = (b"host", b"127.0.0.1:7866"), (b"origin", b"http://localhost:7866")
    scope = {"type": "websocket", "path": "/queue/join", "headers": [host, origin]}
    asyncio.run(Gate(within, Names("127.0.0.1"))(scope, None, send))
    assert told == ["websocket.close"]
    scope["headers"][1] = (b"origin", b"http://127.0.0.1:7866")
    asyncio.run(Gate(within, Names("127.0.0.1"))(scope, None, send))
    assert told == ["websocket.close", "reached"]


def test_the_address_listened_on_is_a_name():
    everywhere, one = Names("0.0.0.0"), Names("192.0.2.7", (Authority("box.example", 8443),))
    assert one.has("192.0.2.7:7866") and not one.has("192.0.2.8:7866") and not one.has("evil.example")
    assert everywhere.has("192.0.2.8") and everywhere.has("[2001:db8::1]:80") and not everywhere.has("evil.example")
    assert one.own("https://box.example:8443", "127.0.0.1:7866")
    assert not one.own("https://box.example", "127.0.0.1:7866")
    assert Names("[::1]").has("[::1]:80") and Names("box.example").has("BOX.example:7866")


def test_what_is_no_name_is_refused_at_the_start(capsys):
    from unrender.cli import main

    for wrong in ("http://unrender.example.org", "a/b", "*", "a b", ""):
        with pytest.raises(SystemExit):
            main(["serve", "--allowed-host", wrong])
        assert "is no name such as" in capsys.readouterr().err
