"""What schema 20240725 of MONAI's metadata requires; the schema itself is not shipped, and MONAI would download it."""

_TENSOR = {
    "type": "object",
    "required": [
        "type",
        "format",
        "num_channels",
        "spatial_shape",
        "dtype",
        "value_range",
        "is_patch_data",
        "channel_def",
    ],
}
_TEXT = {"type": "string"}
_REQUIRED = [
    "schema",
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "required_packages_version",
    "task",
]
_REQUIRED += ["description", "authors", "copyright", "network_data_format"]
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema",
    "type": "object",
    "required": _REQUIRED,
    "properties": {
        "schema": {"type": "string", "pattern": "meta_schema_20240725.json$"},
        "changelog": {"type": "object", "additionalProperties": _TEXT},
        "required_packages_version": {"type": "object", "additionalProperties": _TEXT},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": {"additionalProperties": _TENSOR}, "outputs": {"additionalProperties": _TENSOR}},
        },
    },
}
