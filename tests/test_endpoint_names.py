"""What a server's address may be, whom a key is sent to, and which servers somebody else may name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.describe import check_describer, kind_of
from unrender.core.describe.endpoint.address import Address, claims
from unrender.core.describe.endpoint.allowed import NAMED, allowed, named_endpoints
from unrender.core.describe.endpoint.key import KEY, Key, key_for
from unrender.core.errors import ModelError, UnrenderError

SECRET = "sk-4f1c9a77e2"
HERE, LAN, FAR = "http://127.0.0.1:11434/v1", "http://192.168.1.5:8000/v1", "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("name", "base", "model"),
    [
        (f"{HERE}#qwen2.5vl:7b", HERE, "qwen2.5vl:7b"),
        (HERE, HERE, ""),
        ("HTTP://LocalHost:1234/v1/#a/b c", "http://localhost:1234/v1", "a/b c"),
        ("  https://api.example.com  #  m#2 ", "https://api.example.com", "m#2"),
        ("http://[::1]:8080/v1#m", "http://[::1]:8080/v1", "m"),
    ],
)
def test_a_name_is_an_address_and_a_model(name: str, base: str, model: str) -> None:
    assert Address.of(name) == Address(base, model)
    assert kind_of(name).name == "endpoint"


@pytest.mark.parametrize("name", ["blip-large", "owner/name", "httpbin/model", "ftp://x/y", "./http:/x", ""])
def test_other_names_are_of_other_kinds(name: str) -> None:
    assert not claims(name)
    assert kind_of(name).name != "endpoint"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://", "names no host"),
        ("http://#m", "names no host"),
        ("http:///v1#m", "names no host"),
        ("http://host:port/v1", "is none"),
        ("http://host:99999/v1", "is none"),
        ("http://host:0/v1", "port 0"),
        ("http://[::1/v1", "is none"),
        ("http://ho st/v1", "signs that no address has"),
        ("http://host\\@evil/v1", "signs that no address has"),
        ("http://host/\u202ev1", "signs that no address has"),
        ("http://h\u00f6st/v1", "signs that no address has"),
        ("http://host/v1\r\nX: y", "signs that no address has"),
        ("http://" + "a" * 2000, "signs that no address has, or too many"),
        ("http://a%2eb/v1", "names no host"),
        (f"http://{SECRET}@host/v1", "user's name or a key"),
        (f"http://user:{SECRET}@host/v1#m", "user's name or a key"),
        (f"https://host/v1?key={SECRET}#m", "UNRENDER_ENDPOINT_KEY"),
        ("http://host/v1/chat/completions#m", "leave that out"),
        (f"http://host/v1#{'m' * 500}", "No server has a model"),
        ("http://host/v1#a\x1b[2Jb", "No server has a model"),
    ],
)
def test_what_is_no_address_is_refused_before_any_network(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said.replace("?", r"\?")) as refused:
        check_describer(name)
    assert SECRET not in str(refused.value)


@given(st.text(max_size=40), st.sampled_from(["http://", "https://", "http://host", "http://u:", "https://h/?"]))
def test_any_text_is_an_address_or_refused_in_a_sentence(text: str, start: str) -> None:
    try:
        address = Address.of(start + text)
    except ModelError as error:
        assert str(error).endswith(".")
        return
    assert "@" not in address.base.partition("://")[2].partition("/")[0]
    assert "?" not in address.base
    assert Address.of(f"{address.base}#{address.model}") == address


@pytest.mark.parametrize(
    ("value", "address", "sent"),
    [
        (SECRET, FAR, SECRET),
        (SECRET, LAN, ""),
        (SECRET, HERE, ""),
        (f"{HERE} {SECRET}", HERE, SECRET),
        (f"http://127.0.0.1:11434 {SECRET}", HERE, SECRET),
        (f"{FAR} {SECRET}", FAR, SECRET),
        (f"{FAR} {SECRET}", "https://other.example.com/v1", ""),
        (f"{FAR} {SECRET}", "http://api.example.com/v1", ""),
        (f"{FAR} {SECRET}", "https://api.example.com:8443/v1", ""),
        (f"{FAR} {SECRET}", HERE, ""),
        ("", FAR, ""),
    ],
)
def test_a_key_goes_to_whom_it_is_meant_for(value: str, address: str, sent: str) -> None:
    found = key_for(Address.of(address), {KEY: value})
    assert found.text == sent
    assert SECRET not in repr(found)


def test_a_key_is_not_sent_where_it_can_be_read_on_the_way() -> None:
    with pytest.raises(ModelError, match="anyone on the way can read it") as refused:
        key_for(Address.of(LAN), {KEY: f"{LAN} {SECRET}"})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("address", [FAR, HERE, "http://api.openai.com/v1", "https://api.openai.com.evil.example/v1"])
def test_openai_s_key_goes_to_openai_alone(address: str) -> None:
    environment = {"OPENAI_API_KEY": SECRET}
    assert key_for(Address.of("https://api.openai.com/v1"), environment).text == SECRET
    assert not key_for(Address.of(address), environment).text


@pytest.mark.parametrize("value", [f"{SECRET}\n{SECRET}", f"{FAR} {SECRET} more", "k\u00e9y", f"two {SECRET}", FAR])
def test_what_is_no_key_is_refused_unseen(value: str) -> None:
    with pytest.raises(UnrenderError) as refused:
        key_for(Address.of(FAR), {KEY: value})
    assert SECRET not in str(refused.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40), st.integers(0, 40))
def test_a_part_of_a_key_is_found(text: str, start: int) -> None:
    part = text[start:] if len(text) - start >= 6 else text
    assert Key(text).is_in(f"Incorrect key {part.upper()}***")
    assert not Key(text).is_in("")
    assert not Key("").is_in(text)


@pytest.mark.parametrize(
    ("address", "named", "may"),
    [
        ("http://127.0.0.1:1234/v1#m", (), True),
        ("http://localhost:1/v1", (), True),
        ("http://[::1]:1/v1", (), True),
        (f"{LAN}#any", (), False),
        (f"{LAN}#any", (f"{LAN}#one",), True),
        (f"{LAN}/", (LAN,), True),
        ("http://192.168.1.5:8000/admin", (LAN,), False),
        ("http://192.168.1.5:8001/v1", (LAN,), False),
        ("https://192.168.1.5:8000/v1", (LAN,), False),
        ("http://169.254.169.254/latest", (), False),
        ("http://0.0.0.0:80/", (), False),
        ("http://2130706433/", (), False),
        ("http://127.0.0.1.evil.example/", (), False),
        ("http://localhost.evil.example/", (), False),
    ],
)
def test_somebody_else_may_name_what_is_here_or_was_named(address: str, named: tuple[str, ...], may: bool) -> None:
    assert allowed(address, named) is may
    assert allowed(address, named, here=False) is (may and bool(named))


def test_what_may_be_named_is_listed_in_the_environment() -> None:
    assert named_endpoints({NAMED: f" {LAN} ,, {FAR}#m"}) == (LAN, f"{FAR}#m")
    assert named_endpoints({}) == ()
