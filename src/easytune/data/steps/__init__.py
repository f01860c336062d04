"""Steps that change rows: cleaning, filtering, duplicates, personal data, splitting, mixing."""
