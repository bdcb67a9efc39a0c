"""A small pretend world: seven platforms whose policies change by a script, and a mail server that records.

For the demo, tests and benchmarks alone. Everything listens on 127.0.0.1; the texts are of our own writing
and say nothing about the real platforms.
"""
