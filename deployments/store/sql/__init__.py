"""SQL beneath the store: engine, schema, cursors."""
