"""Detection in shapes that no value decides. Face: `FixedProgram`, `FixedDetection`, `FixedNms`."""
