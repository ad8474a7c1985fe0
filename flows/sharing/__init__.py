"""What do machines share? Results, by DVC's remote.

- ``remote``: what it holds of a result, fetched and sent by object, each held against its hash
- ``exchange``: what one run takes from it and sends to it, beside the stages that run
- ``work_tree``: code, parameters and edits, as a commit on a git remote
"""
