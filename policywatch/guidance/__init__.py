"""Guidance as text and numbers, pure: wording, freezing, audiences, and the keyed names of recipients."""
