"""Is a difference between two arms real? Resampled images, several seeds, many tests. No torch."""
