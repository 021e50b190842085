"""OpenAPI: what drf-spectacular cannot see by itself. Entities are described from their columns, so the
document says what the code does."""

from core.api.schema import json_fields, security  # noqa: F401  (drf-spectacular finds what is imported)
from core.api.schema.auto import CrmSchema
from core.api.schema.entity import EntitySchema
from core.api.schema.parts import array_of, object_of, page_of, ref

__all__ = ["CrmSchema", "EntitySchema", "array_of", "object_of", "page_of", "ref"]
