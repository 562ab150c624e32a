"""The subcommands of `sardino` by subject: each one's options, the job that they ask for, and how its result is told.

Only the contract is imported at the top of these modules: `sardino --help` must not wait for anything heavy.
"""
