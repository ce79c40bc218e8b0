#!/usr/bin/env python3
"""Reads messages of docs/message-format.md, with nothing but Python's own library.

    message-format.py DICTIONARY MESSAGE...

Each MESSAGE is a file with the payload of one MQTT message; what comes out is one JSON object a line for each reading.
"""
import base64
import datetime
import json
import sys
import zlib

MAX_BODY = 1 << 20


class Body:
    """Takes a body apart from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("it ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def uvarint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number without end")

    def varint(self):
        value = self.uvarint()
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def text(self):
        return self.take(self.uvarint()).decode()


def decode(message, dictionaries):
    if len(message) < 6 or message[0] != 0xFB:
        raise ValueError("not a message of this format")
    version, flags = message[1] >> 4, message[1] & 0x0F
    if version != 1:
        raise ValueError(f"version {version} of the format")
    if zlib.crc32(message[6:], zlib.crc32(message[:2])) != int.from_bytes(message[2:6], "big"):
        raise ValueError("the checksum is wrong: it was cut, filled up or changed on the way")
    if flags & ~3:
        raise ValueError("flags of a later version")
    body = message[6:]
    if flags & 1:
        dictionary = dictionaries[int.from_bytes(body[:4], "big")]
        inflater = zlib.decompressobj(wbits=-15, zdict=dictionary)
        body = inflater.decompress(body[4:], MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise ValueError("too long")
    return readings(Body(body), flags & 2)


def readings(body, batch):
    device, epoch = body.text(), body.take(8).hex()
    seq, milli = body.uvarint(), body.varint()
    if not batch:
        head = body.take(1)[0]
        yield line(device, epoch, seq, None, milli, head, body.take(len(body.data) - body.at))
        return
    topics = [body.text() for _ in range(body.uvarint())]
    heads, topic, step, length = [], 0, 0, 0
    seq -= 1
    for _ in range(body.uvarint()):
        head = body.take(1)[0]
        if head & 4:
            topic = body.uvarint()
        if head & 8:
            seq += body.uvarint()
        if head & 16:
            step = body.varint()
        if head & 32:
            length = body.uvarint()
        seq, milli = seq + 1, milli + step
        heads.append((seq, topics[topic], milli, head, length))
    for seq, topic, milli, head, length in heads:
        yield line(device, epoch, seq, topic, milli, head, body.take(length))


def line(device, epoch, seq, topic, milli, head, payload):
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milli)
    text = at.isoformat(timespec="milliseconds").rstrip("0").rstrip(".") + "Z"
    reading = {
        "schema": 1, "id": f"{epoch}-{seq}", "device": device, "seq": seq, "topic": topic,
        "time": text, "time_quality": ("unknown", "guessed", "known")[head & 3],
    }
    try:
        reading["payload_text"] = payload.decode()
    except UnicodeDecodeError:
        reading["payload_base64"] = base64.b64encode(payload).decode()
    return reading


def main():
    with open(sys.argv[1], "rb") as f:
        dictionary = f.read()
    dictionaries = {zlib.crc32(dictionary): dictionary}
    for name in sys.argv[2:]:
        with open(name, "rb") as f:
            for reading in decode(f.read(), dictionaries):
                print(json.dumps(reading))


main()
