"""Who follows a record, who sees it, and what refers to it, as JSON."""

from rest_framework import serializers

from core.accounts.record_access import SAYS
from core.activities.models import Follow
from core.sharing.models import Share


class UserBriefSerializer(serializers.Serializer):
    """A user's name, as everyone may see it."""

    id = serializers.IntegerField()
    username = serializers.CharField()
    full_name = serializers.CharField()


class FollowerSerializer(serializers.Serializer):
    """A follower, and why: by hand, or as owner, assignee or commenter."""

    user = UserBriefSerializer()
    reason = serializers.ChoiceField(Follow.Reason.choices)
    since = serializers.DateTimeField()


class FollowerPageSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = FollowerSerializer(many=True)


class AccessReasonSerializer(serializers.Serializer):
    code = serializers.ChoiceField(sorted(SAYS))
    message = serializers.CharField()


class AccessTeamSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class AccessShareSerializer(serializers.Serializer):
    """The share by which a user sees the record: with the `team` named, or with the user."""

    id = serializers.IntegerField()
    access = serializers.ChoiceField(Share.Access.choices)
    expires_at = serializers.DateTimeField(allow_null=True)
    team = AccessTeamSerializer(allow_null=True)


class UserAccessSerializer(serializers.Serializer):
    """Whether a user sees and may change the record, and why or why not."""

    user = UserBriefSerializer()
    sees = serializers.BooleanField()
    changes = serializers.BooleanField()
    reasons = AccessReasonSerializer(many=True)
    share = AccessShareSerializer(allow_null=True)


class RecordAccessSerializer(serializers.Serializer):
    """The access of the user in `asked`, and of those who see the record, `count` of them in all."""

    asked = UserAccessSerializer()
    count = serializers.IntegerField()
    users = UserAccessSerializer(many=True)


class DependentSerializer(serializers.Serializer):
    """How many records of an entity refer to the record in a field (archived ones not counted); `hidden` of
    them you do not see."""

    type = serializers.CharField()
    field = serializers.CharField()
    count = serializers.IntegerField()
    hidden = serializers.IntegerField()


class DependentsSerializer(serializers.Serializer):
    results = DependentSerializer(many=True)
