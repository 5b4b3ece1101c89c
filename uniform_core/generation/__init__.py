"""Generation: requests in, clips with sound out."""
