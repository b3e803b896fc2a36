"""What each source of a mix contributes: models trained without it and on it alone, scored by one suite."""
