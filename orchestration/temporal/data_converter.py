"""Payloads in Temporal: JSON by pydantic, encrypted where CANOPY_PAYLOAD_KEYS has a key."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

KEYS = "CANOPY_PAYLOAD_KEYS"
KEY_BYTES = 32
NONCE_BYTES = 12
ENCODING = b"binary/encrypted"


class CannotDecrypt(Exception):
    """A payload was encrypted with a key that this process does not have."""


class EncryptingCodec(PayloadCodec):
    """AES-GCM with 256 bits. The first key encrypts, all keys decrypt, so that keys can be rotated."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take keys of 32 bytes each. Raises ValueError."""
        self._ciphers = [AESGCM(key) for key in keys]

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, its metadata included."""
        return [self._encrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        data = self._ciphers[0].encrypt(nonce, payload.SerializeToString(), None)
        return Payload(metadata={"encoding": ENCODING}, data=nonce + data)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt encrypted payloads; others, written before there was a key, stay as they are.

        Raises CannotDecrypt.
        """
        return [self._plain(payload) for payload in payloads]

    def _plain(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        nonce, data = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return Payload.FromString(cipher.decrypt(nonce, data, None))
            except InvalidTag:
                continue
        raise CannotDecrypt(f"None of the keys in {KEYS} fits what is in Temporal.")


def parse_keys(given: str) -> list[bytes]:
    """Parse keys of 32 bytes each, in base64 and separated by commas. Raises ValueError, which shows none of them."""
    found = []
    for number, text in enumerate(filter(None, map(str.strip, given.split(","))), start=1):
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError(f"{KEYS}: key {number} is not {KEY_BYTES} bytes in base64.")
        found.append(key)
    return found


_converters = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """JSON by pydantic. The SDK creates a converter for each workflow: ours share their cached type adapters."""

    def __init__(self) -> None:
        super().__init__(*_converters)


@cache
def data_converter() -> DataConverter:
    """Return the converter, which encrypts if CANOPY_PAYLOAD_KEYS is set. Raises ValueError."""
    keys = parse_keys(os.environ.get(KEYS, ""))
    plain = DataConverter(payload_converter_class=SharedPayloadConverter)
    return with_codec(plain, EncryptingCodec(keys)) if keys else plain


def with_codec(converter: DataConverter, codec: PayloadCodec) -> DataConverter:
    """Return a converter whose payloads go through a codec, and the messages of failures with them."""
    return replace(converter, payload_codec=codec, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


async def decode_failure(client: Client, failure: Failure) -> None:
    """Decode a failure of the raw service and its causes, in place."""
    codec = client.data_converter.payload_codec
    if codec is None:
        return
    await codec.decode_failure(failure)
    cause: Failure | None = failure
    while cause is not None:
        if cause.HasField("encoded_attributes"):
            attributes = json.loads(cause.encoded_attributes.data)
            cause.message, cause.stack_trace = attributes.get("message", ""), attributes.get("stack_trace", "")
        cause = cause.cause if cause.HasField("cause") else None


async def decode_details(client: Client, details: Payloads) -> None:
    """Decode the heartbeat details of the raw service, in place."""
    codec = client.data_converter.payload_codec
    if codec is not None and details.payloads:
        await codec.decode_wrapper(details)
