"""The Processing provider: one small file per algorithm, which declares parameters and builds a job for the worker."""
