"""Python processes that the program starts: their configuration, and how they are instrumented."""
