"""Words that tables use for months, for yes and no, for won and lost, and for nothing."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: i + 1 for i, name in enumerate(_MONTHS)}
BLANKS = frozenset({"", "na", "nan", "n/a", "#n/a", "null", "none", "nil", "-", "--", "?", "nat", "missing"})
YES = frozenset({"yes", "y", "true", "t", "1", "1.0", "ja", "oui", "si", "sí", "sim"})
NO = frozenset({"no", "n", "false", "f", "0", "0.0", "nein", "non", "nao", "não"})
_WON = {"won", "win", "closed won", "converted", "success", "successful", "qualified", "customer", "accepted"}
_BOUGHT = {"purchased", "purchase", "bought", "sold", "signed", "subscribed", "positive", "good", "1"}
POSITIVE = frozenset(YES | _WON | _BOUGHT)
_LOST = {"lost", "loss", "loose", "lose", "closed lost", "not converted", "failed", "failure", "unqualified"}
_GONE = {"disqualified", "rejected", "declined", "dead", "negative", "bad", "churned", "0", "-1"}
NEGATIVE = frozenset(NO | _LOST | _GONE)
