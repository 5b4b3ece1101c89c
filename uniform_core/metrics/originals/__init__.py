"""Original files, read once for every protocol that looks at them: frames as they come, sound at the end."""
