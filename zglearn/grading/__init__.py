"""What an instructor runs: from a folder of submissions to a gradebook.

A submission goes `inputs` (in the process of `reading`) -> `notebook` -> `engine` -> `referee` ->
`student` (in the `sandbox`, over the `wire`) -> `store` -> `rows` -> `reports`; `command` leads it.
"""
