"""Many models in one container: SageMaker's API for multi-model endpoints, under several workers."""
