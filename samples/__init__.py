"""The sample: a loyalty programme's profiles and events, and ways to break them."""
