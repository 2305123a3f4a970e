"""Validating files of any size, record by record, in the background."""
