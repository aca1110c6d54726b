"""The twin problem: a second unlearning problem whose gold model, the original, is already in hand."""
