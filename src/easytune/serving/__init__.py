"""Models served to other programs: the supervisor of a server, and the server itself."""
