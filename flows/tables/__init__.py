"""The paper's tables beside our own numbers: what is there, what is still to be made, and how both are shown."""
