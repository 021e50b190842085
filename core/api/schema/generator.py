"""The API document, which is the same in every language."""

from typing import Any

from django.utils.translation import override
from drf_spectacular.generators import SchemaGenerator

from core.labels import MACHINE_LANGUAGE


class EnglishSchemaGenerator(SchemaGenerator):
    """drf-spectacular's, in English whatever the request asks for."""

    def get_schema(self, *args: Any, **kwargs: Any) -> Any:
        with override(MACHINE_LANGUAGE):
            return super().get_schema(*args, **kwargs)
