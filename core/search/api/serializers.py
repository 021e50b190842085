"""Hits of a global search as JSON."""

from rest_framework import serializers


class SearchHitSerializer(serializers.Serializer):
    """A record found: of which entity, how it is called, where it is, and whether by an exact value (an id,
    an external id, an address, a number), by its words, or by words like them."""

    type = serializers.CharField()
    id = serializers.IntegerField()
    title = serializers.CharField()
    url = serializers.URLField()
    match = serializers.ChoiceField(["exact", "words", "similar"])
