"""The training loss. Face: `total.Losses`, `MATCHERS`, and a table for each of its terms."""
