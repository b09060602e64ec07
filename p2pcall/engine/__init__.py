"""The engine: asyncio, and the only room that joins the line, the media, the devices and the screen."""
