"""Text in, facts out: extraction, blocks, comparison, analysis.

Pure: no file, no network, no clock, no chance. The same input gives the same output, so that a result can be
recomputed and checked.
"""
