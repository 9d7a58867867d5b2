"""The hub behind proxies and in networks that read what is sent: through them, or the right sentence."""

from __future__ import annotations

import importlib.util
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from hub_server import (  # noqa: F401
    LARGE,
    REPO,
    FakeHub,
    Handler,
    hub_fixture,
    is_one_sentence,
    no_settings_of_this_machine_fixture,
    server_fixture,
)
from proxy_server import ForwardProxy, dead_port, proxying
from unrender.core.errors import ModelError
from unrender.core.hub import Hub
from unrender.core.hub.proxies import is_loopback, proxy_of

ELSEWHERE = "http://hub.example"
PATIENCE = 4.0

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine", "fresh_session")


@pytest.fixture(name="fresh_session")
def fresh_session_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """httpx reads the environment once, when huggingface_hub makes its session."""
    from huggingface_hub import utils

    close = getattr(utils, "close_session", lambda: None)
    for name in ("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    close()
    yield
    monkeypatch.undo()
    close()


@pytest.fixture(name="proxy")
def proxy_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwardProxy]:
    with proxying() as state:
        monkeypatch.setenv("HTTP_PROXY", state.url)
        monkeypatch.setenv("HTTPS_PROXY", state.url)
        yield state


def stands_on_requests() -> bool:
    """Told without making a session."""
    import huggingface_hub

    return huggingface_hub.__version__.startswith("0.")


def refusal(hub: Hub) -> str:
    with pytest.raises(ModelError) as error:
        hub.fetch_model(REPO)
    assert is_one_sentence(error)
    return str(error.value)


def test_a_download_goes_through_a_proxy(server: FakeHub, hub: Hub, proxy: ForwardProxy) -> None:
    assert (hub.fetch_model(REPO) / "model.safetensors").read_bytes() == LARGE
    assert len(proxy.asked) == len(server.requests) > 3


def test_no_proxy_is_kept_to(server: FakeHub, hub: Hub, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert hub.fetch_model(REPO) and proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password(
    server: FakeHub, hub: Hub, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxy.login = "ada:se cret"
    monkeypatch.setenv("HF_ENDPOINT", f"{scheme}://hub.example")
    said = refusal(hub)
    assert "answered 407" in said and "wants a user and a password" in said and proxy.url in said
    assert f"{scheme.upper()}_PROXY as http://USER:PASSWORD@HOST:PORT" in said
    assert len(proxy.asked) == 1, "a password is not had by asking again"


def test_a_password_is_given_and_never_shown(
    server: FakeHub, hub: Hub, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.login = "ada:se cret"
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("://", "://ada:se%20cret@"))
    assert hub.fetch_model(REPO) and proxy.asked
    proxy.login = "ada:another"
    said = refusal(Hub(hub.folder / "other"))
    assert "407" in said and "cret" not in said and "ada" not in said


@pytest.mark.parametrize("endpoint", [ELSEWHERE, "https://hub.example"])
def test_a_proxy_that_is_dead(hub: Hub, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    address = f"http://127.0.0.1:{dead_port()}"
    variable = "http_proxy" if endpoint == ELSEWHERE else "ALL_PROXY"
    monkeypatch.setenv(variable, address)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    said = refusal(hub)
    assert f"on the way through the proxy {address} ({variable})" in said and f"check or unset {variable}" in said


def test_a_proxy_that_lets_nothing_through(hub: Hub, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.refuses = 403
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    said = refusal(hub)
    assert f"the proxy {proxy.url} (HTTPS_PROXY) answered 403" in said


@pytest.mark.parametrize("status", [403, 502])
def test_a_proxy_that_refuses_this_computer(server: FakeHub, hub: Hub, proxy: ForwardProxy, status: int) -> None:
    """As for a mirror that runs here."""
    proxy.refuses = status
    assert "add 127.0.0.1 to NO_PROXY" in refusal(hub)


def test_a_socks_proxy_needs_its_package(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = ("pysocks", "socks") if stands_on_requests() else ("socksio", "socksio")
    if importlib.util.find_spec(module):
        pytest.skip(f"{package} is installed")
    monkeypatch.setenv("ALL_PROXY", f"socks5://ada:secret@127.0.0.1:{dead_port()}")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    said = refusal(hub)
    assert "speaks SOCKS" in said and f"pip install {package}" in said and "secret" not in said


@pytest.mark.parametrize("address", ["quic://127.0.0.1:1", "http://ada:pass#word@127.0.0.1:1", "http://[::1"])
def test_an_address_of_a_proxy_that_makes_no_sense(hub: Hub, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("HF_ENDPOINT", ELSEWHERE)
    said = refusal(hub)
    assert "HTTP_PROXY" in said and "pass#" not in said and "word@" not in said and "ada" not in said


def test_which_proxy_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_of("https://huggingface.co") is None
    monkeypatch.setenv("ALL_PROXY", "socks5://u:p@proxy:1080/")
    assert str(proxy_of("https://huggingface.co")) == "the proxy socks5://proxy:1080 (ALL_PROXY)"
    monkeypatch.setenv("https_proxy", "company:3128")
    assert str(proxy_of("https://huggingface.co/x")) == "the proxy company:3128 (https_proxy)"
    monkeypatch.setenv("no_proxy", ".huggingface.co, 127.0.0.1")
    assert proxy_of("https://cdn.huggingface.co/x") is None and proxy_of("https://127.0.0.1:8/x") is None
    assert is_loopback("localhost") and is_loopback("::1") and is_loopback("127.8.0.1") and not is_loopback("hub")


# --- certificates ---


@pytest.fixture(scope="module", name="certificate")
def certificate_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a certificate authority that nobody knows, as those of companies are."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", *names]
    subprocess.run([*make, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture(name="secured")
def secured_fixture(server: FakeHub, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    front = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": server}))
    front.daemon_threads = True
    front.handle_error = lambda *_: None  # pyright: ignore - what is refused breaks off
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    front.socket = context.wrap_socket(front.socket, server_side=True)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"https://localhost:{front.server_port}")
    yield server
    front.shutdown()
    front.server_close()


def bundle() -> str:
    return "REQUESTS_CA_BUNDLE" if stands_on_requests() else "SSL_CERT_FILE"


def test_a_certificate_that_nobody_signed(secured: FakeHub, hub: Hub) -> None:
    said = refusal(hub)
    assert "nobody whom Python trusts has signed the certificate of localhost" in said
    assert f"set {bundle()} to a file with their certificate" in said


def test_the_named_variable_is_the_one_that_helps(
    secured: FakeHub, hub: Hub, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bundle(), str(certificate))
    assert (hub.fetch_model(REPO) / "model.safetensors").read_bytes() == LARGE


def test_certificates_that_are_not_there(
    secured: FakeHub, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = bundle()
    monkeypatch.setenv(variable, str(tmp_path / "gone.pem"))
    said = refusal(hub)
    assert f"{variable} names certificates that are not there" in said and "gone.pem" in said
