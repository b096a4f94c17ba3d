"""An OpenAI-compatible endpoint that takes its time: a real HTTP server for benchmarks.

Answers any number of requests at once, each after the latency that its body asks for by its
seed. Measures how many it has under way. Prints its port; GET /v1/stats tells what it saw.

    python benchmarks/slow_endpoint.py MEAN_S SIGMA
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from dataclasses import dataclass, field


def latency(seed: int | str, mean: float, sigma: float) -> float:
    """Log-normal seconds with this mean; sigma is that of the logarithm."""
    return mean * math.exp(sigma * random.Random(seed).gauss(0, 1) - sigma * sigma / 2)


@dataclass
class Meter:
    """How many requests are under way, over time."""

    changes: list[tuple[float, int]] = field(default_factory=list)

    def began(self, now: float) -> None:
        self.changes.append((now, 1))

    def ended(self, now: float) -> None:
        self.changes.append((now, -1))

    def report(self, places: int) -> dict[str, float]:
        """`busy`: share of `places` in use from the first beginning until the last one, that is
        while there is something to begin; `busy_all`: until the last end."""
        first = self.changes[0][0]
        last_begin = max(now for now, change in self.changes if change > 0)
        last = self.changes[-1][0]
        area = area_begun = 0.0
        under_way = peak = 0
        before = first
        for now, change in self.changes:
            area += under_way * (now - before)
            if now <= last_begin:
                area_begun += under_way * (now - before)
            under_way += change
            peak = max(peak, under_way)
            before = now
        return {
            "requests": sum(change > 0 for _, change in self.changes),
            "seconds": last - first,
            "busy": area_begun / (places * (last_begin - first)),
            "busy_all": area / (places * (last - first)),
            "peak": peak,
            "mean_s": area / sum(change > 0 for _, change in self.changes),
        }


class Endpoint:
    """Serves HTTP/1.1 with connections kept open."""

    def __init__(self, mean: float, sigma: float) -> None:
        self.mean, self.sigma = mean, sigma
        self.meter = Meter()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *lines = head.decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = request.split()[1]
                answer = await self._answer(path, json.loads(body) if body else {})
                data = json.dumps(answer).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(data), data)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: dict) -> dict:
        if path.startswith("/v1/stats"):
            return self.meter.report(int(path.partition("places=")[2] or 1))
        self.meter.began(time.monotonic())
        await asyncio.sleep(latency(body["seed"], self.mean, self.sigma))
        self.meter.ended(time.monotonic())
        message = {"role": "assistant", "content": "```python\nprint(1)\n```"}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
        }


if __name__ == "__main__":
    try:
        asyncio.run(Endpoint(float(sys.argv[1]), float(sys.argv[2])).serve())
    except KeyboardInterrupt:
        pass
