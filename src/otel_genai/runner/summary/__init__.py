"""The output at the end of a run: the summary, its calls and spans, and the page of graphs."""
