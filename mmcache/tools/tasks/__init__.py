"""The tasks, inputs and samplers that a user can choose."""
