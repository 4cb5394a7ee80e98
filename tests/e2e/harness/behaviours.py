"""What a receiver may do with a request: the polite ways and the hostile ones.

A behaviour is `async fn(exchange) -> bool`; True keeps the connection for a next request.
`exchange` has .request, .writer, .receiver and .nth (0 for the connection's first request).
"""

import asyncio
import socket
import struct


def _head(status, reason, fields, length):
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in fields]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 410: "Gone",
            429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


def status(code, body=b"", fields=(), keep=True):
    """Answers with the code, header fields [(name, value)] and body; keeps the connection."""

    async def behave(exchange):
        head = _head(code, _REASONS.get(code, "Status"), fields, None if code == 204 else len(body))
        exchange.writer.write(head + body)
        exchange.request.answered = code
        await exchange.writer.drain()
        return keep

    return behave


ok = status(200, b"ok")


def slow(seconds, then=ok):
    """Answers after a pause."""

    async def behave(exchange):
        await asyncio.sleep(seconds)
        return await then(exchange)

    return behave


def fail_first(count, code=500, then=ok):
    """Fails the first `count` requests of the path, then behaves well."""
    left = [count]

    async def behave(exchange):
        if left[0] > 0:
            left[0] -= 1
            return await status(code, b"not yet")(exchange)
        return await then(exchange)

    return behave


async def hang(exchange):
    """Reads the request and never answers; ends when the other side goes."""
    await exchange.gone()
    return False


def _reset(writer):
    # Linger 0 makes the kernel send RST instead of FIN.
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset(exchange):
    """Reads the request and resets the connection."""
    _reset(exchange.writer)
    return False


async def close(exchange):
    """Reads the request and closes the connection politely, without a byte."""
    return False


async def drip_head(exchange):
    """Sends a valid head, one byte each 50 ms: longer than any deadline."""
    text = b"HTTP/1.1 200 OK\r\nX-Filler: " + b"a" * 4000 + b"\r\nContent-Length: 0\r\n\r\n"
    for at in range(len(text)):
        exchange.writer.write(text[at:at + 1])
        await exchange.writer.drain()
        await asyncio.sleep(0.05)
    return True


def endless_body(code=200):
    """A good head, then a body without end."""

    async def behave(exchange):
        exchange.writer.write(_head(code, "Status", [("Transfer-Encoding", "chunked")], None))
        exchange.request.answered = code
        while True:
            exchange.writer.write(b"400\r\n" + b"e" * 1024 + b"\r\n")
            await exchange.writer.drain()
            await asyncio.sleep(0.001)

    return behave


async def endless_informational(exchange):
    """103 Early Hints for ever."""
    while True:
        exchange.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await exchange.writer.drain()
        await asyncio.sleep(0.001)


def informational(count, then=ok):
    """A few 1xx heads before the real answer."""

    async def behave(exchange):
        exchange.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * count)
        return await then(exchange)

    return behave


def bad_chunking(code=200):
    """A good head, then something that is no chunk."""

    async def behave(exchange):
        exchange.writer.write(_head(code, "Status", [("Transfer-Encoding", "chunked")], None))
        exchange.writer.write(b"5\r\nhello\r\nZZZ\r\nnot a chunk\r\n")
        exchange.request.answered = code
        await exchange.writer.drain()
        await exchange.gone()
        return False

    return behave


async def huge_head(exchange):
    """A head that does not end within a megabyte."""
    exchange.writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1024):
        exchange.writer.write(f"X-{number}: ".encode() + b"h" * 1000 + b"\r\n")
        await exchange.writer.drain()
    exchange.writer.write(b"\r\n")
    return False


async def garbage(exchange):
    """Speaks another protocol."""
    exchange.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await exchange.writer.drain()
    await exchange.gone()
    return False


async def two_lengths(exchange):
    """Contradicts itself about the length."""
    exchange.writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\nok")
    await exchange.writer.drain()
    await exchange.gone()
    return False


async def stale(exchange):
    """Answers a connection's first request; ends the connection on seeing its second one.

    This is what the sender of a request sees when it loses the race against a receiver that closes
    idle connections: the request was written, no byte came back.
    """
    if exchange.nth == 0:
        return await ok(exchange)
    return False


async def close_idle(exchange):
    """Answers as if it would keep the connection, and closes it at once."""
    await ok(exchange)
    return False
