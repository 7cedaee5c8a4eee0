"""What `bin/regulars` does, one command or family of commands a module."""
