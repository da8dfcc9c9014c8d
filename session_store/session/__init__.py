"""Sessions: recording, restoring, forking, verifying; over any store."""
