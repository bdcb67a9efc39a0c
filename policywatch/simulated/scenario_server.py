"""The web of a scenario as a process of its own, and what its log says of a visitor's manners.

    python -m policywatch.simulated.scenario_server SCENARIO --seed N --start ISO-TIME

The first line on standard output names the ports; then each JSON line on standard input is answered by one:
`{"round": n}` begins a round, `{"figures": true}` gives the figures of all requests since they were asked for last.
The end of the input ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from policywatch.simulated.scenario import BadKind
from policywatch.simulated.scenario_file import load
from policywatch.simulated.scenario_script import Script
from policywatch.simulated.scenario_web import Request, ScenarioWeb

__all__ = ["figures", "main"]


def figures(log: Sequence[Request], gap: float, before: dict[str, float] | None = None) -> dict[str, Any]:
    """Requests, answers 304, most in flight to a host, and requests closer than `gap` seconds to the one before.

    `before`: by host, when the last request of an earlier part of the log ended; brought forward in place.
    """
    before = {} if before is None else before
    by_host: dict[str, list[Request]] = defaultdict(list)
    for request in log:
        by_host[request.host].append(request)
    most, close = 0, list[str]()
    for host, requests in by_host.items():
        requests.sort(key=lambda request: request.began)
        moments = sorted(
            [(one.began, 1) for one in requests] + [(one.ended, -1) for one in requests],
            key=lambda moment: (moment[0], moment[1]),
        )
        open_now = 0
        for _, step in moments:
            open_now += step
            most = max(most, open_now)
        last = "an earlier one"
        for request in requests:
            since = request.began - before.get(host, float("-inf"))
            if since < gap:
                close.append(f"{host}{request.path} {since:.3f} s after {last}")
            last = f"{request.path} ({request.status})"
            # Who gave up waiting is gone before we see it: of a silent answer only the beginning is sure.
            ended = request.began if request.bad == BadKind.NO_ANSWER else request.ended
            before[host] = max(ended, before.get(host, ended))
    return {
        "requests": len(log),
        "robots": sum(one.path == "/robots.txt" for one in log),
        "not_modified": sum(one.status == 304 for one in log),
        "conditional": sum(one.conditional for one in log),
        "bad": dict(sorted(Counter(one.bad for one in log if one.bad).items())),
        "max_in_flight_per_host": most,
        "min_gap_violations": len(close),
        "too_close": close[:10],
        "refused_paths": sorted({one.host + one.path for one in log if one.path != "/robots.txt"}),
    }


async def _steer(web: ScenarioWeb, gap: float) -> None:
    refused = {one.pages[0].host + one.pages[0].path for one in web.script.documents if one.refused}
    before: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        answer: dict[str, Any] = {"round": web.round}
        if "round" in order:
            web.round = answer["round"] = int(order["round"])
        if "figures" in order:
            log, web.log = web.log, []
            answer |= figures(log, gap, before)
            answer["refused_paths"] = sorted(refused.intersection(answer["refused_paths"]))
        print(json.dumps(answer), flush=True)


async def _main(arguments: argparse.Namespace) -> None:
    scenario = load(arguments.scenario).at(seed=arguments.seed, rounds=arguments.rounds)
    web = ScenarioWeb(
        Script(scenario),
        datetime.fromisoformat(arguments.start),
        timedelta(seconds=arguments.length) if arguments.length else None,
    )
    async with web:
        print(json.dumps({"ports": web.ports}), flush=True)
        await _steer(web, arguments.gap)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--start", required=True)
    parser.add_argument("--length", type=float, help="Seconds of a round.")
    parser.add_argument("--gap", type=float, default=0.0)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
