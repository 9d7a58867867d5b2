"""What the extension uses of a webui, for tests without one."""
