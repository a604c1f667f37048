"""A load balancer: what comes in on one port goes to another, and back. `balancer PORT TO`."""

import asyncio
import sys


async def main(port: int, to: int) -> None:
    """Pass on until killed."""
    server = await asyncio.start_server(lambda reader, writer: _both_ways(reader, writer, to), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


async def _both_ways(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int) -> None:
    try:
        behind, front = await asyncio.open_connection("127.0.0.1", to)
    except OSError:
        writer.close()
        return
    await asyncio.gather(one_way(reader, front), one_way(behind, writer))


async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until nothing does."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
