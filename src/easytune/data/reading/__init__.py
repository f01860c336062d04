"""Reading any file or archive as a stream of rows, and telling what it is."""
