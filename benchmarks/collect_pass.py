"""The pass of `policywatch bench collect` under a profiler: where the daemon's processor time goes. Prints the top.

    .venv/bin/python benchmarks/collect_pass.py [--documents 500] [--passes 3] [--lines 40] [--profile FILE]

The figures that count are those of the command itself; under the profiler everything is about twice as slow.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats

from policywatch.settings import load
from policywatchd.bench import passes


def main() -> None:
    """Measure, then tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--profile", help="Keep the raw figures in this file.")
    options = parser.parse_args()
    profile = cProfile.Profile()
    report = asyncio.run(
        passes.run(load(None, {}), [options.documents], passes=options.passes, profile=profile)
    )
    print(json.dumps({name: value for name, value in report.items() if name != "sizes"}))
    if options.profile:
        profile.dump_stats(options.profile)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(options.lines)


if __name__ == "__main__":
    main()
