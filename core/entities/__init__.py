"""Entities: what a lead, contact or task is to everything generic (API, filters, import, automation)."""

from core.entities.columns import Column, column, columns, derived
from core.entities.entity import Entity, entities, entity_of

__all__ = ["Column", "Entity", "column", "columns", "derived", "entities", "entity_of"]
