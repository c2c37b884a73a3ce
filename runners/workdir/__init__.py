"""The work directory: its lock, its contents, what may be deleted.

Public: `lock.hold_lock`, `gc.find`, `gc.remove`, `references.find_references`,
`stop_file.StopFileWatch`.
"""
