"""Reading: a source's folder comes in; the layouts found in it and the original bytes of its images go out.

`sources` knows the layouts of each upstream; this wing knows which of them are present, complete and permitted. It
judges no record and never uses the network.
"""

__all__ = (
    "articles",
    "dicom",
    "download_record",
    "image_store",
    "inputs",
    "refused_copies",
    "row_counts",
    "source_status",
    "zip_index",
)
