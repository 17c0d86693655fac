"""The pictures of `kcnn show`, a file for each kind: from a run or a competition to a figure, a table and a name."""
