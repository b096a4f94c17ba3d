"""Studies: a grid of arms and seeds, declared before it is run, and what it shows.

`spec` reads a study file; `grid` and `jobs` say which commands its cells need; `store` and
`runner` keep and run them; `record` turns a finished cell's journals into numbers by problem, and
`summary` those of all cells into one file; `results`, `analysis` and
`predict`, with the statistics of `crossed` and `power`, make numbers of that file alone, and
`tables`, `figures`, `page`, and for pages of prose `inserts` and `quoted`, what is read.
docs/studies.md says how to use it.
"""
