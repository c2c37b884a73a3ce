"""Plans as lines of text and as JSON."""
