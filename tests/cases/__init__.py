"""The op table, one file a family of operations."""
