"""What keeps erased pictures and records out: the suppression mark, under the workspace's key."""
