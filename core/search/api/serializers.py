"""Hits of a global search as JSON."""

from rest_framework import serializers


class SearchHitSerializer(serializers.Serializer):
    """A record that was found: its entity, title and address, and whether it was found by an exact value (an
    id, an external id, an address, a number), by its words, or by similar words."""

    type = serializers.CharField()
    id = serializers.IntegerField()
    title = serializers.CharField()
    url = serializers.URLField()
    match = serializers.ChoiceField(["exact", "words", "similar"])
