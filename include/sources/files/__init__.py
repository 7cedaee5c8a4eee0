"""Delivered files, from the folder to typed columns; `include.sources.file_reading` puts them together.

- `folder`: which files there are, of which form, in which order; gzips and zips.
- `delimited`: CSV as blocks of records with their lines; `quotes`: lines whose quotes do not close.
- `workbook`: sheets of spreadsheets.
- `values`: columns as texts, keys, numbers and stamps; `numbers` and `stamps`: those by the mapping's marks;
  `letters`: cheap looks at many texts.
- `days`: which days files can be about.
- `noticed`: what a reading meets beside the rows; `findings`: that told, and kept by its line.
- `dialect`: whether the expressions of a mapping can be read.
"""
