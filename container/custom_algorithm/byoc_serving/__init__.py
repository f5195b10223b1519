"""What the image does on SageMaker: pull or train a model version, and serve it.

Replaced whole on upgrade. `formats` (bodies), `versions` (models in S3) and `supervision` (of the processes)
are rooms of their own; `training` and `invocation`, beside this file, do the image's two jobs with them.
"""
