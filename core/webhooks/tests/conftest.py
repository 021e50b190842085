import pytest

from core.tests.receiver import receiver


@pytest.fixture
def peer(settings):
    """A receiver on loopback that may be called."""
    with receiver() as found:
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": [found.host]}
        yield found
