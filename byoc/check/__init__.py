"""Says whether a container will work on SageMaker, and why not: rules, each with what was seen."""
