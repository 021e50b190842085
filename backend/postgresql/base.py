"""The backend, in the module where Django looks for it."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Asks the socket, not the server, whether a connection kept from an earlier request is still there.

    Whoever ends a connection, a server that restarts or is killed, leaves something to read on it. Django's
    own way is a SELECT 1 at the beginning of each request: a tenth of what a list costs.
    """

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        # A notice or a changed parameter is also something to read: then the server is asked after all.
        return super().is_usable() if poll.poll(0) else True
