"""The tree of companies in SQL."""

from django.db import connection

_ABOVE = """
WITH RECURSIVE above AS (
    SELECT id, parent_id FROM contacts_company WHERE id = %s
    UNION SELECT c.id, c.parent_id FROM contacts_company c JOIN above ON c.id = above.parent_id
) SELECT 1 FROM above WHERE id = %s
"""


def is_above(company_id: int, other_id: int) -> bool:
    """Whether a company is another one, or above it."""
    with connection.cursor() as cursor:
        cursor.execute(_ABOVE, [other_id, company_id])
        return cursor.fetchone() is not None
