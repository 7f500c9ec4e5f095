"""Searches of C: the folds, the fits that follow each other along C, their scores, and the choice."""
