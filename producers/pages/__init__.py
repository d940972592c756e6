"""Pages for people: what they share is the frame, and what they show is in rooms of its own."""
