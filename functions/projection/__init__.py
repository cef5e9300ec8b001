"""What we keep of Canvas' events: versions, changes and the guarded write."""
