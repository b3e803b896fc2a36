"""The gate: the files of a release come in; what forbids their upload goes out, one line each.

It reads the files themselves and trusts no manifest, plan or folder name. It changes nothing and knows no Hub.
"""
