"""What a job title says of a person's rank and field, by its words (English, German, French, Spanish)."""

import re

_WORD = re.compile(r"[^\W\d_]+")

_SENIORITY = {
    "owner": "owner founder cofounder inhaber inhaberin gründer gründerin fondateur fondatrice propietario",
    "executive": "ceo cto cfo coo cmo cio cso cro chief president geschäftsführer geschäftsführerin vorstand"
    " managing pdg dg directeur-général",
    "director": "vp svp evp vice director directeur directrice direktor direktorin head leiter leiterin"
    " bereichsleiter partner principal",
    "manager": "manager managerin lead supervisor teamleiter teamleiterin chef responsable jefe jefa"
    " coordinator gerente",
    "junior": "intern trainee student assistant assistent assistentin praktikant praktikantin apprentice"
    " junior stagiaire becario",
}
_FUNCTION = {
    "technology": "cto cio engineer engineering developer software it technology technical data architect"
    " entwickler entwicklerin technik informatique",
    "sales": "sales cro account business vertrieb verkauf commercial ventes ventas",
    "marketing": "cmo marketing brand growth content seo communications werbung",
    "finance": "cfo finance financial accounting accountant controller controlling treasurer buchhaltung",
    "operations": "coo operations logistics supply production manufacturing procurement purchasing buyer"
    " einkauf einkäufer produktion achats",
    "people": "hr people human recruiter recruiting talent personal rh",
    "product": "product design designer ux produkt produit",
    "leadership": "ceo owner founder cofounder president geschäftsführer geschäftsführerin inhaber pdg",
}
_BY_RANK = {word: rank for rank, words in reversed(_SENIORITY.items()) for word in words.split()}
_BY_FIELD = {word: name for name, words in reversed(_FUNCTION.items()) for word in words.split()}
_RANKS = list(_SENIORITY)


def seniority_of(title: str) -> str | None:
    """owner, executive, director, manager, junior or staff; None without a title."""
    words = _WORD.findall((title or "").casefold())
    ranks = {_BY_RANK[word] for word in words if word in _BY_RANK}
    if not words:
        return None
    return min(ranks, key=_RANKS.index) if ranks else "staff"


def function_of(title: str) -> str | None:
    """The field of work that the title names first; "other" where it names none we know."""
    words = _WORD.findall((title or "").casefold())
    known = [_BY_FIELD[word] for word in words if word in _BY_FIELD]
    return (known[0] if known else "other") if words else None
