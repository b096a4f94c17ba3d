"""What a run came to, for people and for papers: tables, curves, files.

`runs` reads run directories as they are, unfinished or torn; `curves` and `panels` turn metrics
into what is drawn, without a plotting library; `figures` draws it with matplotlib, `inline` for a
page. `evaluations`, `problems` and `diversity` read what evaluations left; `summary` makes the
tables; `page` makes the page; `write` puts all into a directory. docs/report.md says what
everything means.
"""
