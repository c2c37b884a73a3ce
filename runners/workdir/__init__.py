"""The work directory: its lock, its contents, what may be deleted.

Public: `lock.hold_lock`, `leftovers.hold_work_dir`, `gc.find`, `gc.remove`,
`references.find_references`, `stop_file.StopFileWatch`.
"""
