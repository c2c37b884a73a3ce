"""Image files without decoding them: what their headers say, whether their end is there, digests.

Public: `names.find_names`, `scan.scan_images`, `scan.ImageFile`, `header.read_header`,
`header.Header`.
"""
