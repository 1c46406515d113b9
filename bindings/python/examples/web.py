#!/usr/bin/env python3
"""A web server with a JPEG of each camera, in one thread: GET /NAME.jpg. No web framework is needed.

usage: web.py [--port N] [--requests N]"""
import argparse
import asyncio
import io

from PIL import Image

import cuframes


async def picture(name):
    """The newest frame, or the next one, as JPEG."""
    async with cuframes.subscribe(name) as camera:
        frame = await asyncio.wait_for(camera.anext(), 5)
        rgb = frame.to_rgb()
        file = io.BytesIO()
        Image.fromarray(rgb.cpu().numpy() if hasattr(rgb, "cpu") else rgb).save(file, "JPEG", quality=85)
        return file.getvalue()


async def answer(reader, writer, count):
    try:
        line = (await asyncio.wait_for(reader.readline(), 5)).decode("latin-1").split()
        path = line[1] if len(line) == 3 and line[0] == "GET" else ""
        status, kind, body = "404 Not Found", "text/plain", b"GET /NAME.jpg\n"
        if path == "/":
            names = "".join(f'<img src="/{stream.name}.jpg">' for stream in cuframes.list())
            status, kind, body = "200 OK", "text/html", names.encode()
        elif path.endswith(".jpg"):
            try:
                status, kind, body = "200 OK", "image/jpeg", await picture(path[1:-4])
            except (cuframes.Error, asyncio.TimeoutError) as error:
                body = f"{error}\n".encode()
        writer.write(f"HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
    finally:
        writer.close()
        count()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--requests", type=int, help="end after so many")
    args = parser.parse_args()
    done = asyncio.Semaphore(0)
    server = await asyncio.start_server(lambda r, w: answer(r, w, done.release), "127.0.0.1", args.port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    async with server:
        served = 0
        while args.requests is None or served < args.requests:
            await done.acquire()
            served += 1


if __name__ == "__main__":
    asyncio.run(main())
