"""The machine behind `tmu bench`: what a suite asks for, as tasks with dependencies that survive being stopped."""
