"""Which addresses may be called: a URL is taken apart once, its host looked up once, every answer judged.

The deny list is explicit: `ipaddress.is_global` calls the NAT64 form of 127.0.0.1 global. Ranges are those
of the IANA special-purpose registries (RFC 6890), the metadata services of the clouds, multicast, and the
forms that carry an IPv4 address inside (NAT64, 6to4, Teredo, `::1.2.3.4`, `::ffff:0:1.2.3.4` of RFC 2765);
mapped addresses are unwrapped.
"""

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, quote, urlsplit

import idna

from core.conf import conf
from core.errors import ValueRefusedError

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Iterable[str]]
DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_URL = 2_000

_DENIED = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15
198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16
2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""
DENIED = tuple(ip_network(text) for text in _DENIED.split())
# Letters, digits, hyphens and underscores between dots: what a name made of anything else resolves to is
# up to the resolver, and so is `0x7f.1`, which the last label being a number gives away.
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\Z")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")
# Blanks and control characters anywhere, and the backslash, which some parsers read as a slash.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")


class AddressRefusedError(ValueRefusedError):
    """This address may not be called. One message for every reason that concerns our own network."""

    code = "address_refused"


@dataclass(frozen=True)
class ParsedUrl:
    """A URL taken apart. `host` is lower-case ASCII, without brackets and trailing dot."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def refused(reason: str = "This address cannot be called from here.") -> AddressRefusedError:
    return AddressRefusedError(reason)


def parse_url(url: str) -> ParsedUrl:
    """The parts of `url`, if it is one we would ever call. Raises AddressRefusedError. Looks nothing up."""
    if not isinstance(url, str) or len(url) > MAX_URL or _FORBIDDEN.search(url):
        raise refused("Not an address: blanks, control characters or backslashes, or too long.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused("Not an address.") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise refused("Only http and https addresses with a host can be called.")
    if "@" in parts.netloc:
        raise refused("An address with a user name or password in it is not called.")
    host = _host(parts.hostname)
    target = ParsedUrl(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], _path(parts))
    _check_policy(target)
    return target


def _path(parts: SplitResult) -> str:
    path = parts.path or "/"
    whole = f"{path}?{parts.query}" if parts.query else path
    return quote(whole, safe="%/?:@!$&'()*+,;=[]~")


def _host(raw: str) -> str:
    """An IP address as written in full, or a name as ASCII. Every other spelling of a number is refused."""
    literal = _literal(raw.partition("%")[0])
    if literal is not None:
        if "%" in raw:
            raise refused("An address with a zone is not called.")
        return str(literal)
    try:
        name = raw.rstrip(".") if raw.isascii() else idna.encode(raw.rstrip("."), uts46=True).decode()
    except idna.IDNAError:
        raise refused("Not a host name.") from None
    name = name.lower()
    if len(name) > 253 or not _NAME.match(name) or _NUMERIC.match(name.rpartition(".")[2]):
        raise refused("Not a host name.")
    return name


def _literal(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _check_policy(target: ParsedUrl) -> None:
    """https on the usual ports, unless the operator allowed this host."""
    if is_allowed_host(target):
        return
    if target.scheme == "http" and not conf.OUTBOUND_PLAIN_HTTP:
        raise refused("Only https addresses are called.")
    if target.port not in conf.OUTBOUND_PORTS:
        raise refused("Only the usual ports are called.")
    literal = _literal(target.host)
    if literal is not None and is_denied(literal):
        raise refused()
    if literal is None and "." not in target.host:
        raise refused()


def is_allowed_host(target: ParsedUrl) -> bool:
    """Whether the operator named this host (or host:port) as one inside that may be called."""
    allowed = {str(entry).lower() for entry in conf.OUTBOUND_ALLOWED_HOSTS}
    return target.host in allowed or f"{target.host}:{target.port}" in allowed


def is_denied(address: Address) -> bool:
    """Whether an address is inside, special or a tunnel, and so never called.

    A tunnel's far end is chosen by whoever made the address: those forms are denied whatever they carry.
    """
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    judged = mapped or address
    return any(judged in network for network in DENIED if network.version == judged.version)


def system_lookup(host: str, port: int) -> list[str]:
    """Every address the system's resolver gives for a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve(target: ParsedUrl, lookup: Lookup = system_lookup) -> str:
    """The one address to connect to. All answers must be callable; one that is not refuses the name.

    Raises AddressRefusedError, also where the name does not resolve: both look alike from outside.
    """
    allowed = is_allowed_host(target)
    literal = _literal(target.host)
    answers = [str(literal)] if literal is not None else _looked_up(target, lookup)
    if not answers:
        raise refused()
    if not allowed and any(is_denied(ip_address(answer.partition("%")[0])) for answer in answers):
        raise refused()
    return answers[0]


def _looked_up(target: ParsedUrl, lookup: Lookup) -> list[str]:
    try:
        return list(lookup(target.host, target.port))
    except (OSError, UnicodeError):
        return []


def check(url: str, lookup: Lookup = system_lookup) -> ParsedUrl:
    """For saving: the parts of a URL whose host may be called now. A name that does not resolve yet passes;
    it is looked up and judged again at every call. Raises AddressRefusedError."""
    target = parse_url(url)
    if _literal(target.host) is None and _looked_up(target, lookup):
        resolve(target, lookup)
    return target
