"""`python -m otel_genai`: the command line where the console script is not on PATH."""

import sys

from otel_genai.cli import main

sys.exit(main())
