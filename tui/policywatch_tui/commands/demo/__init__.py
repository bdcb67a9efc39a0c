"""`policywatch demo`: the whole chain, from a platform's page to a delivery event, in a pretend world.

Everything is the real program (daemon, database, acts, mail) but the platforms, the members and the mail
server. `stage` builds and clears it, `story` is what people and daemon do, `figures` counts it.
"""

from policywatch_tui.commands.demo.command import demo

__all__ = ["demo"]
