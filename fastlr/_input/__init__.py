"""What users pass in: each kind of input has one check and one message."""
