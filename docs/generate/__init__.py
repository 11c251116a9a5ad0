"""The parts of docs/ that are made from the code, one module a table: `make docs`. A test compares them with the pages."""
