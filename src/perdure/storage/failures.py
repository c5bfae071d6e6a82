"""Hide the texts and traces of failures, as far as they may quote what a run said."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadConverter,
)

from perdure.errors import BlobBroken, BlobMissing, KeyMissing, StorageUnavailable, Undecryptable

OURS = (KeyMissing, Undecryptable, BlobMissing, BlobBroken, StorageUnavailable)
"""Failures that name keys and blobs only. They must be readable by who can decrypt nothing."""


class HiddenFailures(DefaultFailureConverterWithEncodedAttributes):
    """Hand texts and traces to the codec, other than those that say what an operator must do."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write an exception."""
        if isinstance(exception, OURS):
            DefaultFailureConverter().to_failure(exception, payload_converter, failure)
        else:
            super().to_failure(exception, payload_converter, failure)
