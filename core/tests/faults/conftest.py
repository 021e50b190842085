"""What tests of faults share. Each starts servers of its own."""

import pytest


@pytest.fixture
def without_valkey():
    """A cluster in which nothing answers where Valkey should."""
    from core.tests.faults.cluster import cluster

    with cluster(broker=False) as found:
        yield found


@pytest.fixture(scope="module")
def whole():
    """A cluster with all its parts and the web process; a module's tests share it."""
    from core.tests.faults.cluster import cluster

    with cluster() as found:
        found.make_user()
        found.start("web")
        found.await_web()
        yield found
