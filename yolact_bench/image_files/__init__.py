"""Image files without decoding them: what their headers say, whether their end is there, digests.

Public: `scan.scan_images`, `scan.ImageFile`, `header.read_header`, `header.Header`.
"""
