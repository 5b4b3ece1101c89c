"""What is good about a caption, and what is wrong with it: the same for whoever said it."""
