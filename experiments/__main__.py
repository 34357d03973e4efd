"""python -m experiments NAME [flags]"""

import sys

from experiments.runner.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
