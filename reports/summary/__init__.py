"""Records as rows: means over seeds, differences, sessions, caveats. No text, no drawing."""
