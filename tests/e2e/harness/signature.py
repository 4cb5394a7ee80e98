"""Standard Webhooks 1.0 signatures, written from the specification and independent of src/."""

import base64
import hashlib
import hmac


def sign(secret, message_id, timestamp, body):
    """The value of webhook-signature: v1,<base64 HMAC-SHA256 of id.timestamp.body>."""
    assert secret.startswith("whsec_"), secret
    key = base64.b64decode(secret[len("whsec_"):], validate=True)
    text = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def verify(secret, headers, body):
    """True when one of the space separated signatures is ours."""
    wanted = sign(secret, headers["webhook-id"], headers["webhook-timestamp"], body)
    given = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(wanted, one) for one in given)
