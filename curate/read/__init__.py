"""Reading: a folder comes in; out go the layouts that it holds, and the original bytes of its images.

`sources` knows what each upstream looks like; this wing knows which of them is there, whole, and allowed. It judges no
record and asks nothing of the network.
"""

__all__ = ("articles", "dicom", "download_record", "expectations", "inputs", "originals", "presence", "refusal")
