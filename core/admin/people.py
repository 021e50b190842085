"""Users as people choose them: two of one name are told apart by their user names."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget


def entered_as(person: Any) -> str:
    """How a user is entered: "Nora Novak (nora)"; the user name alone where there is no other."""
    name = person.get_full_name()
    return f"{name} ({person.username})" if name != person.username else name


class PeopleField(forms.ModelMultipleChoiceField):
    """Several users, whom a list has ticked."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def label_from_instance(self, obj: Any) -> str:
        return entered_as(obj)
