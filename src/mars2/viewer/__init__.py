"""A run's search trees as a page to look around in, as data, and as diagrams.

`run` finds out what a directory holds, `tail` reads its journal as far as it goes, `beliefs` plays
it back through the search's own strategy, `recorder` turns all that into the records that a page
shows, `page` makes one file of them, `serve` follows a run under way, `export` writes other
formats.
"""
