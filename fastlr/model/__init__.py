"""What is minimised: the data, the penalty, the objective, its derivatives and its bounds."""
