"""Labelled articles in, a model folder and its report out."""
