"""What may be called from here."""

import os
import random
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from AntiSSRF import AntiSSRFPolicy, PolicyConfigOptions

from backend.env import BASE_DIR
from core.outbound.addresses import AddressRefusedError, check, is_denied, parse_url, resolve

PUBLIC = "93.184.216.34"
DISGUISES = """
http://example.com/ https://127.0.0.1/ https://127.1/ https://2130706433/ https://0x7f000001/
https://0x7f.1/ https://017700000001/ https://0177.0.0.1/ https://0/ https://0.0.0.0/ https://[::]/
https://[::1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::127.0.0.1]/
https://[::ffff:0:127.0.0.1]/ https://[64:ff9b::7f00:1]/ https://[64:ff9b::5db8:d822]/ https://[2002:7f00:1::]/
https://[2002:a9fe:a9fe::1]/ https://[2001::1]/ https://[fe80::1]/ https://[fe80::1%25eth0]/
https://[fc00::1]/ https://[fd12::1]/ https://[fec0::1]/ https://[ff02::1]/ https://[2001:db8::1]/
https://10.0.0.1/ https://172.16.0.1/ https://172.31.255.255/ https://192.168.1.1/ https://100.64.0.1/
https://169.254.169.254/latest/meta-data/ https://168.63.129.16/ https://192.0.0.192/ https://192.0.2.1/
https://198.18.0.1/ https://198.51.100.1/ https://203.0.113.1/ https://224.0.0.1/ https://240.0.0.1/
https://255.255.255.255/ https://192.88.99.1/ https://localhost/ https://intranet/
https://user@example.com/ https://user:pw@example.com/ https://@example.com/ https://example.com:22/
https://example.com:6379/ https://example.com:8080/ https://example.com:99999/
https://example.com\\@127.0.0.1/ https://127.0.0.1\\.example.com/ file:///etc/passwd
gopher://example.com/ ftp://example.com/ javascript:alert(1) data:text/plain,x //example.com/ example.com
https:// https:///path https://127.0.0.1./ https://127。0。0。1/ https://①②⑦.0.0.1/ https://-a.example.com/
https://a..example.com/ https://example.com.0x7f/ https://[::1]@example.com/
https://[::ffff:10.0.0.1]:443/ https://999.1.1.1/
"""
REFUSED = DISGUISES.split()


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_inside_or_in_disguise_is_refused(url):
    with pytest.raises(AddressRefusedError):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/\r\nX: y",
        "https://exa mple.com/",
        "https://example.com/\x00",
        " https://a.de",
        "https://e\u2028x.com/",
        "https://" + "a" * 3000 + ".com/",
        "",
        None,
        7,
    ],
)
def test_control_characters_blanks_and_other_things_are_refused(url):
    with pytest.raises(AddressRefusedError):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "host", "authority", "path"),
    [
        ("https://Example.COM", "example.com", "example.com", "/"),
        ("https://example.com.:443/a?b=c", "example.com", "example.com", "/a?b=c"),
        ("https://bücher.example/ü", "xn--bcher-kva.example", "xn--bcher-kva.example", "/%C3%BC"),
        (f"https://{PUBLIC}/x", PUBLIC, PUBLIC, "/x"),
        ("https://[2606:2800:220:1::1]/", "2606:2800:220:1::1", "[2606:2800:220:1::1]", "/"),
    ],
)
def test_a_public_address_is_taken_apart(url, host, authority, path):
    target = parse_url(url)
    assert (target.host, target.authority, target.path) == (host, authority, path)


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:169.254.169.254"], ["fe80::1%2"], []]
)
def test_one_bad_answer_or_none_refuses_the_name(answers):
    target = parse_url("https://rebind.example/")
    with pytest.raises(AddressRefusedError) as caught:
        resolve(target, lambda host, port: answers)
    assert caught.value.message == "This address cannot be called from here."


def test_the_first_of_good_answers_is_taken():
    assert resolve(parse_url("https://ok.example/"), lambda host, port: [PUBLIC, "1.1.1.1"]) == PUBLIC


def test_saving_passes_a_name_that_does_not_resolve_yet_and_refuses_one_that_points_inside():
    assert check("https://later.example/", lambda host, port: []).host == "later.example"
    with pytest.raises(AddressRefusedError):
        check("https://inside.example/", lambda host, port: ["192.168.0.9"])


def test_the_operator_may_allow_a_host_inside(settings):
    settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": ["127.0.0.1:8080", "erp.internal"]}
    assert resolve(parse_url("http://127.0.0.1:8080/x")) == "127.0.0.1"
    assert resolve(parse_url("http://erp.internal:9000/"), lambda host, port: ["10.1.1.1"]) == "10.1.1.1"
    with pytest.raises(AddressRefusedError):
        parse_url("http://127.0.0.1:8081/x")


def test_whatever_microsofts_antissrf_denies_is_denied_here():
    policy = AntiSSRFPolicy(PolicyConfigOptions.EXTERNAL_ONLY_LATEST)
    rng = random.Random(7)  # noqa: S311 (a corpus, not a secret)
    corpus = [IPv4Address(rng.getrandbits(32)) for _ in range(4_000)]
    corpus += [IPv6Address(rng.getrandbits(128)) for _ in range(2_000)]
    corpus += [IPv6Address((0x2000 << 112) + rng.getrandbits(112)) for _ in range(2_000)]
    for prefix in (0xFFFF << 32, 0x64FF9B << 96, 0):
        corpus += [IPv6Address(prefix + rng.getrandbits(32)) for _ in range(500)]
    denied = 0
    for address in corpus:
        if not policy._is_str_ip_address_connection_allowed(str(address)):
            denied += 1
            assert is_denied(address), address
    assert denied > 1_000


@pytest.mark.parametrize(
    "text",
    [
        "64:ff9b::7f00:1",
        "::ffff:0:127.0.0.1",
        "::ffff:0:a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::127.0.0.1",
        "fec0::1",
        "224.0.0.1",
        "192.88.99.1",
        "100.64.0.1",
    ],
)
def test_addresses_that_python_calls_global_are_denied_all_the_same(text):
    assert is_denied(ip_address(text))


@pytest.mark.parametrize(
    ("variables", "url", "called"),
    [
        ({}, "http://93.184.215.14/", False),
        ({"OUTBOUND_PLAIN_HTTP": "1"}, "http://93.184.215.14/", True),
        ({}, "https://93.184.215.14:8443/", False),
        ({"OUTBOUND_PORTS": "443,8443"}, "https://93.184.215.14:8443/", True),
        ({}, "http://10.1.2.3:9000/", False),
        ({"OUTBOUND_ALLOWED_HOSTS": "10.1.2.3:9000"}, "http://10.1.2.3:9000/", True),
        ({"OUTBOUND_ALLOWED_HOSTS": "10.1.2.3:9000"}, "http://10.1.2.3:9001/", False),
    ],
)
def test_the_operator_says_what_may_be_called_in_the_environment(variables, url, called):
    """In a process of its own: settings are read once."""
    question = (
        "from core.outbound import addresses\n"
        f"try: addresses.check({url!r})\nexcept addresses.AddressRefusedError: print('refused')"
    )
    environ = os.environ | variables | {"DJANGO_SETTINGS_MODULE": "backend.settings"}
    answer = subprocess.run([sys.executable, "-c", question], cwd=BASE_DIR, env=environ, capture_output=True)
    assert (answer.stdout.decode().strip(), answer.stderr.decode()) == ("" if called else "refused", "")
