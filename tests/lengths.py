"""How long proofs run: short in the suite, at full length by `make chaos`."""

from __future__ import annotations

import os

__all__ = ["LONG"]

LONG = bool(os.environ.get("POLICYWATCH_LONG"))
