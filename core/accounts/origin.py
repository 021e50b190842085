"""Where a request comes from."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # noqa: S104  (a request over a Unix socket has no address)
IPV6_NETWORK = 64


@dataclass(frozen=True)
class Origin:
    """The client's address and what it calls itself."""

    ip: str
    user_agent: str

    @property
    def network(self) -> str:
        """What counts as one client: the address, of IPv6 the /64 that one household is given."""
        address = ip_address(self.ip)
        if address.version == 4:
            return self.ip
        return str(ip_network((int(address), IPV6_NETWORK), strict=False))


def origin_of(request: HttpRequest) -> Origin:
    """The origin of a request; behind proxies the address that the outermost trusted one saw."""
    agent = request.META.get("HTTP_USER_AGENT", "").replace("\x00", "")[:300]
    meta = request.META
    return origin_of_address(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), agent)


def origin_of_address(address: str, forwarded: str, user_agent: str = "") -> Origin:
    """The origin of who is connected from `address`, with what the header `X-Forwarded-For` says."""
    return Origin(_checked(_named(address, forwarded)), user_agent)


def _named(address: str, forwarded: str) -> str:
    """Each trusted proxy added one address on the right; what stands left of these anyone can write."""
    count = settings.TRUSTED_PROXY_COUNT
    passed = [a.strip() for a in forwarded.split(",") if a.strip()]
    return passed[-count] if count and len(passed) >= count else address


def _checked(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN
    return str(getattr(address, "ipv4_mapped", None) or address)
