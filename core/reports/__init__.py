"""Reports over what one may see: what may be reported of an entity is declared by its app."""
