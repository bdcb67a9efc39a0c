"""Histories that others recorded: version repositories of the Open Terms Archive, read into ours."""
