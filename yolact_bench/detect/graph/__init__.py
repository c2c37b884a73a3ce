"""Detection in shapes that no value decides.

Public: `fixed.FixedProgram`, `fixed.FixedDetection`, `pairs.FixedNms`.
"""
