"""`python -m otel_genai`: the command line, for where the console script is not on the path."""

import sys

from otel_genai.cli import main

sys.exit(main())
