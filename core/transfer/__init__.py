"""Import and export: files in, checked as sets, explained and undoable; and out again as a stream."""
