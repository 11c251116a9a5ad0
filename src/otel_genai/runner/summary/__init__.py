"""The summary at the end of a run, and where its figures come from."""
