"""What is wrong with an episode: rules, four verdicts, the acceptance index and explanations."""
