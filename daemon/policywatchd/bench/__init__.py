"""`policywatchd bench`: the real collector in a pretend web, on a scratch database whose clock is moved by hand.

With `policywatchd.simulate` the only place that opens the wall to loopback; it makes its own database and refuses
every other by never looking for one.
"""
