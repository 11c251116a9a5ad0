"""Tests, in folders as those of the package; `support` is what they share."""
