"""Text as it is compared: without regard to case, accents and width, the same in Python and in PostgreSQL.

`fold` and the SQL function `crm_fold`, which a migration makes, give the same for every character that both
know. The SQL functions are immutable, and their mapping is PostgreSQL's own (`pg_unicode_fast`), not that of
an operating system or an ICU library: an index made with them stays valid everywhere. Folded text is also
what lists of names are ordered by: "Åre" stands between "Apt" and "Ask".
"""

import re
import unicodedata
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CharField, Func, TextField, Transform

# Letters that Unicode does not take apart, and what people type for them.
_LETTERS = {"Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Ħ": "H", "Ŧ": "T", "Æ": "AE", "Œ": "OE", "Þ": "TH"}
_TABLE = str.maketrans(_LETTERS)
_MARKS = re.compile("[\u0300-\u036f]")


def nfc(text: str) -> str:
    """`text` with each letter in its composed form, as it is stored."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """`text` without case, accents and width: "José", "JOSE" and "jose" are one."""
    if text.isascii():
        return text.upper()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text)).upper().translate(_TABLE)


def digits(text: str) -> str:
    """The decimal digits in `text`, of any script, as 0 to 9."""
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())


class Fold(Func):
    """`fold` in SQL, for expressions and indexes."""

    function = "crm_fold"
    arity = 1
    output_field = TextField()


class FoldLookup(Transform):
    """`fold` for lookups: `name__folded=…` and `name__folded__contains=…` fold both sides."""

    lookup_name = "folded"
    function = "crm_fold"
    bilateral = True
    output_field = TextField()


class Digits(Func):
    """The digits 0 to 9 of a text, in SQL."""

    function = "crm_digits"
    arity = 1
    output_field = TextField()


class PhoneKey(Func):
    """What numbers that may be one have in common, in SQL, whether they are written with their country or
    without: the last seven digits before an extension, and the extension."""

    function = "crm_phone_key"
    arity = 1
    output_field = TextField()


class PhoneKeys(Func):
    """The same of each number of a list."""

    function = "crm_phone_keys"
    arity = 1
    output_field = ArrayField(TextField())


class MailDomain(Func):
    """The domain of an e-mail address in lower case, in SQL."""

    template = "lower(split_part(%(expressions)s, '@', 2))"
    arity = 1
    output_field = TextField()


class WordStarts(Func):
    """The first letter of each word of a folded text, and the first two, in SQL: what a search of so few
    letters asks for. Blanks and the punctuation of ASCII stand between words."""

    function = "crm_word_starts"
    arity = 1
    output_field = ArrayField(TextField())


def phone_key_indexes(table: str, *columns: str) -> list[models.Index]:
    """Indexes that find the rows with a phone number, however it is written."""
    return [
        models.Index(PhoneKey(name), name=f"{table}_{name}_key", condition=~models.Q(**{name: ""}))
        for name in columns
    ]


def address_index(name: str) -> models.Index:
    """The index that finds records by their street, without regard to case and accents."""
    return models.Index(Fold("address"), "id", name=name, condition=~models.Q(address=""))


CharField.register_lookup(FoldLookup)
TextField.register_lookup(FoldLookup)


def words_of(model: Any) -> frozenset[str]:
    """The columns whose text is in the model's `search_text`."""
    expression: Any = model._meta.get_field("search_text").expression
    columns: list[Any] = [e for e in expression.flatten() if isinstance(e, models.F)]
    return frozenset(column.name for column in columns)
