"""Domains that give an e-mail address to anyone: they say nothing about where a person works."""

import idna

from core.conf import conf

FREE_MAIL = frozenset(
    (
        "aim.com aol.com bigpond.com bluewin.ch btinternet.com comcast.net duck.com email.com fastmail.com "
        "fastmail.fm free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com "
        "hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com "
        "icloud.com inbox.com laposte.net libero.it live.com live.co.uk live.fr live.nl mac.com mail.com "
        "mail.ru mailbox.org me.com msn.com naver.com orange.fr outlook.com outlook.de outlook.fr pm.me "
        "posteo.de proton.me protonmail.com qq.com rediffmail.com rocketmail.com seznam.cz sfr.fr "
        "t-online.de tuta.com tutanota.com verizon.net virgilio.it wanadoo.fr web.de yahoo.co.in "
        "yahoo.co.jp yahoo.co.uk yahoo.com yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru "
        "ymail.com zoho.com 126.com 163.com"
    ).split()
)


def business_domain(email: str) -> str:
    """The domain of a business address in lower case; "" for free mail and for no address."""
    domain = email.lower().rpartition("@")[2].strip(".")
    return "" if domain in FREE_MAIL or domain in conf.FREE_MAIL_DOMAINS else domain


def spellings(domain: str) -> list[str]:
    """The ways in which a domain may be stored: with its letters, and as the DNS has it (IDNA)."""
    if not domain or (domain.isascii() and "xn--" not in domain):
        return [domain] if domain else []
    try:
        return sorted({domain, idna.encode(domain, uts46=True).decode(), idna.decode(domain, uts46=True)})
    except idna.IDNAError:
        return [domain]
