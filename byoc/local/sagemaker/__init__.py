"""The control plane of SageMaker: what is asked, kept, listed, and the jobs that it runs."""
