"""python -m experiments.benchmarks [NAME [flags]]: one benchmark, or all of them with their defaults."""

import subprocess
import sys

BENCHMARKS = ("matrix_factorization", "kalman", "attention", "convolution", "reinforce", "gan",
              "score_matching")


def main(arguments: list[str]) -> int:
    """Run benchmarks, each in a process of its own; returns the first exit status that is not 0."""
    if arguments and arguments[0] not in BENCHMARKS:
        print(f"usage: python -m experiments.benchmarks [NAME [flags]]\nbenchmarks: {', '.join(BENCHMARKS)}",
              file=sys.stderr)
        return 2
    names, flags = (arguments[:1], arguments[1:]) if arguments else (BENCHMARKS, [])
    statuses = [subprocess.run([sys.executable, "-m", f"experiments.benchmarks.{name}", *flags]).returncode
                for name in names]
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
